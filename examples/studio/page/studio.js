// Puts the page together.
import {Answer} from "./answer.js";
import {element, the} from "./element.js";
import {Looks} from "./looks.js";
import {dataUrl, Prompt} from "./prompt.js";
import {cancel, get, write} from "./server.js";

const numbers = ["max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed"];

function themes() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const now = () => document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");
  const named = () => { the("theme").textContent = now() === "dark" ? "Light" : "Dark"; };
  const kept = localStorage.getItem("theme");
  if (kept) document.documentElement.dataset.theme = kept;
  the("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = now() === "dark" ? "light" : "dark";
    localStorage.setItem("theme", now());
    named();
  });
  dark.addEventListener("change", named);
  named();
}

/** What is asked for, as the server reads it; throws for a field that holds no such number. */
function settings() {
  const asked = {};
  for (const id of numbers) {
    const input = the(id);
    if (!input.checkValidity()) {
      input.closest("details").open = true;
      input.reportValidity();
      throw new Error(`${input.closest("label").firstChild.textContent.trim()}: ${input.validationMessage}`);
    }
    if (input.value !== "") asked[id] = input.valueAsNumber;
  }
  if (the("stop").value) asked.stop = the("stop").value;
  return asked;
}

function shots(about) {
  const counts = [0, 1, 2, 4, 8, 16, 32].filter((n) => n <= about.shots.length);
  if (counts.length < 2) return () => 0;
  the("shots-box").hidden = false;
  the("shots").append(...counts.map((n) => element("label", {},
    element("input", {type: "radio", name: "shots", value: n, checked: n === 0}), element("span", {textContent: n}))));
  const count = () => Number(document.querySelector("input[name=shots]:checked").value);
  const changed = () => {
    const n = count();
    const first = n === 1 ? "A picture with its caption comes first." : `${n} pictures with their captions come first.`;
    the("shots-note").textContent = n === 0 ? "The model sees the prompt alone."
      : `${first} A picture that you ask about is left out of them.`;
    the("shots-shown").hidden = n === 0;
    the("shots-list").replaceChildren(...about.shots.slice(0, n).map(({caption}, at) => element("li", {},
      element("img", {src: `/studio/shots/${at}`, alt: "", loading: "lazy"}), caption)));
  };
  the("shots").addEventListener("change", changed);
  changed();
  return count;
}

function gallery(about, prompt) {
  if (!about.shots.length) return;
  the("gallery-box").hidden = false;
  const first = Math.max(0, Math.min(8, about.shots.length - 8));  // not those that come first as examples
  the("gallery").append(...about.shots.slice(first, first + 8).map(({name, caption}, i) => {
    const path = `/studio/shots/${first + i}`;
    const button = element("button", {type: "button", title: caption}, element("img", {src: path, alt: ""}));
    button.setAttribute("aria-label", `Add the picture: ${caption}`);
    button.addEventListener("click", async () => prompt.addPicture(await dataUrl(await (await fetch(path)).blob()), name));
    return button;
  }));
}

function dropping(prompt) {
  const drop = the("drop"), carries = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    if (!carries(event)) return;
    event.preventDefault();
    prompt.addFiles(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) prompt.addFiles(event.clipboardData.files);
  });
  the("add-pictures").addEventListener("click", () => the("files").click());
  the("files").addEventListener("change", () => {
    prompt.addFiles([...the("files").files]);
    the("files").value = "";
  });
  the("add-text").addEventListener("click", () => prompt.addText());
}

function snippet(about) {
  the("snippet").textContent = `from openai import OpenAI

client = OpenAI(base_url="${location.origin}/v1", api_key="none")
answer = client.chat.completions.create(
    model="${about.name}", max_tokens=${about.tokens},
    messages=[{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,..."}}]}])
print(answer.choices[0].message.content)`;
}

async function start() {
  themes();
  const about = await get("/studio/about");
  the("model").textContent = `${about.name}: ${about.description}`;
  the("advice").textContent = about.advice;
  the("max_tokens").value = about.tokens;
  the("max_tokens").max = about.limits.tokens;
  snippet(about);
  const looks = new Looks(about);
  const answer = new Answer((at) => looks.show(at));
  const shotCount = shots(about);
  let running = null;  // {abort, run}
  const ready = () => { the("write").disabled = Boolean(running) || prompt.asked().length === 0; };
  const prompt = new Prompt(the("parts"), about.limits, () => ready(), (message) => answer.fail(message));
  dropping(prompt);
  gallery(about, prompt);

  const go = async () => {
    if (running || prompt.asked().length === 0) return;
    answer.begin();
    looks.begin(prompt.pictures());
    if (the("answer-title").getBoundingClientRect().top > innerHeight - 100)  // one column: below the prompt
      the("answer-title").scrollIntoView({behavior: "smooth"});
    running = {abort: new AbortController(), run: null};
    ready();
    the("cancel").disabled = false;
    let whole = null;
    try {
      const asked = {...settings(), parts: prompt.asked(), shots: shotCount()};
      await write(asked, running.abort.signal, (event) => {
        if (event.run) running.run = event.run;
        if (event.token) answer.token(event.token);
        if (event.end) {
          answer.end(event.end);
          whole = running.run;
        }
      });
    } catch (error) {
      answer.fail(error.name === "AbortError" ? "Cancelled before anything was written." : error.message);
    }
    running = null;
    the("cancel").disabled = true;
    ready();
    if (whole) await looks.end(whole);
  };
  the("write").addEventListener("click", go);
  the("cancel").addEventListener("click", () => {
    if (!running) return;
    if (running.run) cancel(running.run).catch(() => running?.abort.abort());
    else running.abort.abort();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go();
    if (event.key === "Escape" && running) the("cancel").click();
  });
  ready();
}

start().catch((error) => {
  the("model").textContent = `The server does not answer: ${error.message}`;
});
