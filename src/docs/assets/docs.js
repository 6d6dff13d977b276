// Sets up the API reference at /docs. Every URL is relative to the page, so it also works under an issuer's path.
const reference = document.querySelector('rapi-doc');

// One box for credentials: id and secret, which the page exchanges for the access token that it then sends everywhere. The
// addresses are those of this page, where the document has relative ones.
reference.addEventListener('before-render', ({ detail: { spec } }) => {
  const base = new URL('.', document.baseURI).href.replace(/\/$/, '');
  spec.servers = [{ url: base }];
  spec.info.description = spec.info.description.replaceAll('http://127.0.0.1:8080', base);
  const scopes = {
    'mintmark:manage': 'Change things; includes reading',
    'mintmark:read': 'Read things',
    'mintmark:introspect': 'Ask about any token within reach',
  };
  const clientCredentials = { tokenUrl: `${base}/oauth2/token`, scopes, 'x-default-scopes': ['mintmark:manage'] };
  const description = 'Id and secret of an API client: the page exchanges them for an access token, and sends that with each request.';
  spec.components.securitySchemes = { bearer: { type: 'oauth2', description, flows: { clientCredentials } } };
  for (const operation of Object.values(spec.paths).flatMap(Object.values)) {
    // Id and secret have fields of their own in these forms.
    if (operation.security?.some((way) => 'clientBasic' in way)) operation.security = [];
    if (operation.security?.some((way) => 'anyToken' in way)) operation.security = [{ bearer: [] }];
  }
});

// The navigation on a phone. Whatever is chosen in it closes it.
const menu = document.querySelector('#menu');
const show = (isShown) => {
  menu.setAttribute('aria-expanded', isShown);
  reference.toggleAttribute('data-menu', isShown);
};
menu.addEventListener('click', () => show(menu.getAttribute('aria-expanded') === 'false'));
reference.addEventListener('click', (event) => {
  if (event.composedPath().some((element) => element.dataset?.contentId)) show(false);
}, true);

// A refused id and secret is the component's to show; with credentials the browser would ask for a password of its own.
const { fetch } = window;
window.fetch = (resource, options) => fetch(resource, { ...options, credentials: 'omit' });

// Each part of the component has a style sheet of its own: ours comes behind it, for what is wider than the page.
const sheet = new CSSStyleSheet();
fetch(new URL('parts.css', import.meta.url)).then((reply) => reply.text()).then((text) => sheet.replace(text));
const { attachShadow } = Element.prototype;
Element.prototype.attachShadow = function attach(options) {
  const root = attachShadow.call(this, options);
  queueMicrotask(() => { root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet]; });
  return root;
};

// Light or dark, as the reader's system prefers. Once only: the content security policy knows the style sheets of the two
// themes by their hash, and a later change would rewrite them piece by piece.
if (window.matchMedia('(prefers-color-scheme: dark)').matches) reference.setAttribute('theme', 'dark');

// Only now, so that the component finds the listener above.
import('./rapidoc-min.js');
