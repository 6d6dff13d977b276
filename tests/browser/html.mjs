// What html-validate finds in a page as the server sent it.

import { HtmlValidate } from 'html-validate'

const validate = new HtmlValidate({
  root: true,
  extends: ['html-validate:recommended', 'html-validate:document'],
  rules: {
    // How a template is indented, and which quotes it uses, is no fault of a page.
    'no-trailing-whitespace': 'off',
    'attr-quotes': 'off',
    'void-style': 'off',
    'doctype-style': 'off',
    'long-title': 'off',
    'no-implicit-button-type': 'off',
    'no-implicit-input-type': 'off',
    // Files come from the service itself, under the hash of their content.
    'require-sri': 'off',
    // Check boxes of one kind have one name.
    'form-dup-name': ['error', { shared: ['radio', 'checkbox', 'submit', 'button', 'reset'] }],
    // A client secret that is pasted to be tested is none that a browser should keep.
    'autocomplete-password': 'off',
    // Where scripts do not run, the page that waits for a call loads itself again.
    'meta-refresh': 'off',
    'no-inline-style': 'error',
  },
})

export async function htmlFaults(text) {
  const { results } = await validate.validateString(text)
  return results.flatMap(({ messages }) => messages.map(({ ruleId, message, line }) => `${ruleId}, line ${line}: ${message}`))
}
