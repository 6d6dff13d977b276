// Asks the browser for a passkey and sends its answer as a form.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
const reasons = { InvalidStateError: "This device has a passkey for this account already.", SecurityError: "Your browser does not allow passkeys at this address." };
const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
for (const form of document.querySelectorAll("form[data-passkey]")) form.addEventListener("submit", async (event) => {
  const says = form.querySelector("[role=alert]");
  event.preventDefault();
  event.stopPropagation();
  try {
    if (!window.PublicKeyCredential) throw new Error("This browser has no passkeys. Use another way.");
    const reply = await fetch(form.dataset.passkey, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (!reply.ok) throw new Error("This page is out of date. Reload it and try again.");
    const { user, ...asked } = await reply.json();
    const excludeCredentials = asked.excludeCredentials?.map((known) => ({ ...known, id: bytes(known.id) })) ?? [];
    const publicKey = { ...asked, challenge: bytes(asked.challenge), excludeCredentials, ...(user && { user: { ...user, id: bytes(user.id) } }) };
    const { type, rawId, response } = await navigator.credentials[user ? "create" : "get"]({ publicKey });
    const sent = Object.fromEntries(parts.filter((part) => response[part]).map((part) => [part, text(response[part])]));
    form.elements.credential.value = JSON.stringify({ type, rawId: text(rawId), response: sent });
    form.submit();
  } catch (error) { [says.hidden, says.textContent] = [false, error.constructor === Error ? error.message : reasons[error.name] ?? "No passkey was used. Try again, or use another way."]; }
});
