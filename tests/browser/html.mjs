// Checks the HTML of a page with html-validate, as the server sent it.

import { HtmlValidate } from 'html-validate'

const validate = new HtmlValidate({
  root: true,
  extends: ['html-validate:recommended', 'html-validate:document'],
  rules: {
    // Matters of style.
    'no-trailing-whitespace': 'off',
    'attr-quotes': 'off',
    'void-style': 'off',
    'doctype-style': 'off',
    'long-title': 'off',
    'no-implicit-button-type': 'off',
    'no-implicit-input-type': 'off',
    // Scripts and style sheets come from the service itself, and have the hash of their content in their path.
    'require-sri': 'off',
    // Check boxes of one list have the same name.
    'form-dup-name': ['error', { shared: ['radio', 'checkbox', 'submit', 'button', 'reset'] }],
    // A browser should not store a client secret that is pasted into a form to test it.
    'autocomplete-password': 'off',
    // Without JavaScript, the page that waits for the first call reloads itself.
    'meta-refresh': 'off',
    'no-inline-style': 'error',
  },
})

export async function htmlFaults(text) {
  const { results } = await validate.validateString(text)
  return results.flatMap(({ messages }) => messages.map(({ ruleId, message, line }) => `${ruleId}, line ${line}: ${message}`))
}
