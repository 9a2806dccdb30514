// The two pages that links in mails lead to. Nothing is sent before somebody presses a button, so a scanner of mails
// that opens a link uses nothing up. The token stands behind the # of the address, which no server ever sees.
"use strict";

const $ = (id) => document.getElementById(id);
const byToken = $("by-token");
const byAddress = $("by-address");
const WEAK_NETWORK = "The site could not be reached. Check your connection and try again.";
let token = null;

function say(text, wrong = false) {
  $("status").className = wrong ? "wrong" : "";
  $("status").textContent = text;
}

function show(form) {
  byToken.hidden = form !== byToken;
  byAddress.hidden = form !== byAddress;
}

function takeToken() {
  token = new URLSearchParams(location.hash.slice(1)).get("token");
  history.replaceState(null, "", location.pathname);
  say("");
  show(token ? byToken : byAddress);
}

function mark(form, fields) {
  const lines = [];
  for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
  for (const [name, sentence] of Object.entries(fields || {})) {
    const input = form.elements[name];
    if (input) input.setAttribute("aria-invalid", "true");
    lines.push(`${input ? input.labels[0].textContent : name} ${sentence}.`);
  }
  const first = form.querySelector("[aria-invalid]");
  if (first) first.focus();
  return lines;
}

async function post(path, data) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(data),
    credentials: "omit",
    redirect: "error",
  });
  return answer.json();
}

async function send(form, data) {
  const button = form.querySelector("button");
  button.disabled = true;
  say("One moment…");
  try {
    const answer = await post(form.dataset.post, data);
    if (answer.success) {
      form.reset();
      mark(form);
      show(null);
      token = null;
      say(form.dataset.done);
    } else {
      if (answer.details.code === "link_invalid") show(byAddress);
      say(mark(form, answer.details.fields).join("\n") || answer.error, true);
    }
  } catch {
    say(WEAK_NETWORK, true);
  }
  button.disabled = false;
}

byToken.addEventListener("submit", (event) => {
  event.preventDefault();
  const { newPassword, again } = byToken.elements;
  if (!newPassword) {
    send(byToken, { token });
  } else if (newPassword.value === again.value) {
    send(byToken, { token, newPassword: newPassword.value });
  } else {
    say(mark(byToken, { again: "is not the same as the first" }).join("\n"), true);
  }
});

byAddress.addEventListener("submit", (event) => {
  event.preventDefault();
  send(byAddress, { email: byAddress.elements.email.value.trim() });
});

window.addEventListener("hashchange", takeToken);
takeToken();
