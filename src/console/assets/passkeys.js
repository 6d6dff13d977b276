// Asks the browser for a passkey and sends its answer as a form. A field that can be filled with one offers it too.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
const reasons = { InvalidStateError: "This device has a passkey for this account already.", SecurityError: "Your browser does not allow passkeys at this address." };
const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
const ask = async (form, how) => {
  if (!window.PublicKeyCredential) throw new Error("This browser has no passkeys. Use another way.");
  const end = Date.now() + 300000;
  const reply = await fetch(form.dataset.passkey, { method: "POST", body: new URLSearchParams(new FormData(form)), signal: how.signal });
  if (!reply.ok) throw new Error("This page is out of date. Reload it and try again.");
  const { user, ...asked } = await reply.json();
  const excludeCredentials = asked.excludeCredentials?.map((known) => ({ ...known, id: bytes(known.id) })) ?? [];
  const publicKey = { ...asked, challenge: bytes(asked.challenge), excludeCredentials, ...(user && { user: { ...user, id: bytes(user.id) } }) };
  const { type, rawId, response } = await navigator.credentials[user ? "create" : "get"]({ publicKey, ...how });
  if (Date.now() > end) throw new Error("That took too long. Try again.", { cause: "late" });
  const sent = Object.fromEntries(parts.filter((part) => response[part]).map((part) => [part, text(response[part])]));
  form.elements.credential.value = JSON.stringify({ type, rawId: text(rawId), response: sent });
  form.submit();
};
for (const form of document.querySelectorAll("form[data-passkey]")) {
  let offered = new AbortController();
  // What the field offers waits as long as the page is open: its challenge is renewed, and if the device slept, asked for once more.
  const offer = async () => {
    const { signal } = offered = new AbortController();
    if (!document.querySelector("[autocomplete~=webauthn]") || !await window.PublicKeyCredential?.isConditionalMediationAvailable?.()) return;
    const renewal = setTimeout(() => { offered.abort(); offer(); }, 240000);
    const late = await ask(form, { mediation: "conditional", signal }).catch((error) => error.cause === "late");
    clearTimeout(renewal);
    if (late) form.requestSubmit();
  };
  form.addEventListener("submit", async (event) => {
    const says = form.querySelector("[role=alert]");
    event.preventDefault();
    event.stopPropagation();
    offered.abort();
    await ask(form, {}).catch((error) => {
      [says.hidden, says.textContent] = [false, error.constructor === Error ? error.message : reasons[error.name] ?? "No passkey was used. Try again, or use another way."];
      offer();
    });
  });
  offer();
}
