// What a page can do more with a script. Without it every page works: nothing here is the only way to anything.
"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Says something to people who cannot see it.
const say = (text) => {
  const line = document.getElementById("said");
  if (line) line.textContent = text;
};

// Buttons that only work with a script are hidden until here.
for (const button of all("[data-needs-script]")) button.hidden = false;

// <button data-copy="ID">: the text of that element goes to the clipboard.
for (const button of all("[data-copy]")) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Not allowed here (plain http): select it, so that one key copies it.
      getSelection().selectAllChildren(source);
      button.textContent = "Selected: press Ctrl+C";
      return;
    }
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// <input data-filter="ID">: shows the rows of that table that contain what is typed.
for (const input of all("[data-filter]")) {
  const rows = all("tbody tr", document.getElementById(input.dataset.filter));
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    say(`${rows.filter((row) => !row.hidden).length} shown`);
  });
}

// A page that shows something once asks before it is left, until a form on it has been sent.
if (document.querySelector("[data-shown-once]")) {
  let leaving = false;
  document.addEventListener("submit", () => { leaving = true; });
  for (const link of all("[data-leave]")) link.addEventListener("click", () => { leaving = true; });
  addEventListener("beforeunload", (event) => { if (!leaving) event.preventDefault(); });
}

// A form is sent once, however often its button is pressed. The server would take the second one for the first anyway.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  // Back from the next page, it may be sent again.
  addEventListener("pageshow", () => { delete form.dataset.sent; }, { once: true });
});

// A list that chooses something sends its form at once.
for (const select of all("select[data-sends]")) select.addEventListener("change", () => select.form.requestSubmit());

// <p data-live="URL">: one line that is asked for again until it says that nothing more will come.
for (const line of all("[data-live]")) {
  const ask = async () => {
    if (document.visibilityState === "visible") {
      try {
        const reply = await fetch(line.dataset.live, { headers: { accept: "application/json" } });
        if (!reply.ok) return;
        const { text, tone, done } = await reply.json();
        if (line.textContent !== text) [line.textContent, line.className] = [text, `live ${tone}`];
        if (done) return;
      } catch { /* The next turn asks again. */ }
    }
    setTimeout(ask, 3000);
  };
  setTimeout(ask, 3000);
}

// Fields that belong to a choice show only with it. Without a script all of them show.
for (const part of all("[data-shown-with]")) {
  const [name, value] = part.dataset.shownWith.split("=");
  const choices = all(`[name="${name}"]`);
  const show = () => { part.hidden = !choices.some((choice) => choice.checked && choice.value === value); };
  for (const choice of choices) choice.addEventListener("change", show);
  show();
}

// Choosing one thing can preselect another: <input data-selects="ID">, until that was chosen by hand.
const byHand = new Set();
for (const choice of all("input[type=radio]")) choice.addEventListener("change", (event) => { if (event.isTrusted) byHand.add(choice.name); });
for (const choice of all("[data-selects]")) {
  choice.addEventListener("change", () => {
    const other = document.getElementById(choice.dataset.selects);
    if (!byHand.has(other.name)) other.checked = true;
  });
}

// Wide screens always show the navigation.
const menu = document.querySelector(".side > details");
if (menu) {
  const wide = matchMedia("(min-width: 56.01rem)");
  const set = () => { menu.open = wide.matches; };
  wide.addEventListener("change", set);
  set();
}
