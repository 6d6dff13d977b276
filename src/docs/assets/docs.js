// Sets up the API reference at /docs. Every URL is relative to the page, so it also works under an issuer's path.
const reference = document.querySelector('rapi-doc');

// One box for credentials: id and secret, which the page exchanges for the access token that it then sends everywhere. The
// addresses are those of this page, where the document has relative ones.
reference.addEventListener('before-render', ({ detail: { spec } }) => {
  const base = new URL('.', document.baseURI).href.replace(/\/$/, '');
  spec.servers = [{ url: base }];
  const scopes = {
    'mintmark:manage': 'Change things; includes reading',
    'mintmark:read': 'Read things',
    'mintmark:introspect': 'Ask about any token within reach',
  };
  const clientCredentials = { tokenUrl: `${base}/oauth2/token`, scopes };
  spec.components.securitySchemes = { bearer: { type: 'oauth2', flows: { clientCredentials } } };
});

// A refused id and secret is the component's to show; with credentials the browser would ask for a password of its own.
const { fetch } = window;
window.fetch = (resource, options) => fetch(resource, { ...options, credentials: 'omit' });

// Light or dark, as the reader's system prefers. Once only: the content security policy knows the style sheets of the two
// themes by their hash, and a later change would rewrite them piece by piece.
if (window.matchMedia('(prefers-color-scheme: dark)').matches) reference.setAttribute('theme', 'dark');

// Only now, so that the component finds the listener above.
import('./rapidoc-min.js');
