// The answer: tokens as they come, what else was likely, and how long it took.
import {element, percent, shown, the} from "./element.js";

const ends = {
  length: "most tokens reached", context: "the context is full", stop_id: "the model ended it",
  stop_text: "a stop text was reached", cancelled: "cancelled", failed: "failed",
};

const time = (ms) => ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

export class Answer {
  /** `chosen(at)` is told which token is looked at. */
  constructor(chosen) {
    this.chosen = chosen;
    the("tokens").addEventListener("mouseleave", () => this.show(this.pinned));
  }

  begin() {
    Object.assign(this, {tokens: [], pinned: null, shown: null, soon: null, begun: performance.now()});
    the("tokens").replaceChildren();
    the("error").hidden = true;
    for (const id of ["tokens", "tokens-help", "details", "times"]) the(id).hidden = true;
    this.say("Reading the prompt …");
  }
  /** Tokens may come faster than a page is drawn: all that came meanwhile are put there at once. */
  token(token) {
    this.tokens.push(token);
    this.soon ??= setTimeout(() => this.flush(), this.tokens.length === 1 ? 0 : 60);
  }
  flush() {
    clearTimeout(this.soon);
    this.soon = null;
    const first = the("tokens").children.length;
    if (first === this.tokens.length) return;
    the("tokens").append(...this.tokens.slice(first).map((token, i) => this.button(token, first + i)));
    for (const id of ["tokens", "tokens-help", "details"]) the(id).hidden = false;
    if (this.pinned === null) this.show(this.tokens.length - 1);
    this.say(`Writing: ${this.tokens.length} tokens …`);
  }
  button(token, at) {
    const ended = token.ended;
    const button = element("button", {type: "button", className: ended ? "token end" : "token",
                                      textContent: ended ? "end" : shown(token.chosen.text)});
    button.style.setProperty("--p", token.chosen.p);
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `${ended ? "end of the answer" : token.chosen.text}, ${percent(token.chosen.p)}`);
    button.addEventListener("mouseenter", () => this.show(at));
    button.addEventListener("focus", () => this.show(at));
    button.addEventListener("click", () => {
      this.pinned = at;
      this.show(at);
    });
    return button;
  }
  end({why, token, times}) {
    if (token) this.token({...token, ended: true});
    this.flush();
    const tokens = `${times.written} ${times.written === 1 ? "token" : "tokens"}`;
    this.say(`${tokens} in ${time(performance.now() - this.begun)}: ${ends[why] ?? why}.`);
    this.times(times);
    if (this.tokens.length && this.pinned === null) this.show(0);
  }
  fail(message) {
    if (this.tokens) this.flush();
    the("error").textContent = message;
    the("error").hidden = false;
    this.say(this.tokens?.length ? "The answer is not whole." : "Nothing was written.");
  }
  say(text) {
    the("status").textContent = text;
  }

  show(at) {
    if (at === null || !this.tokens[at]) return;
    const buttons = the("tokens").children;
    for (const [place, pressed] of [[this.shown, "false"], [at, "true"]]) buttons[place]?.setAttribute("aria-pressed", pressed);
    this.shown = at;
    const {chosen, alternatives, ended} = this.tokens[at];
    the("choice-title").textContent = `Token ${at + 1}${ended ? ", the end" : ""}: ${percent(chosen.p)}`;
    const all = alternatives.some(({id}) => id === chosen.id) ? alternatives : [...alternatives, chosen];
    the("alternatives").replaceChildren(...all.map(({id, text, p}) => {
      const row = element("li", {className: id === chosen.id ? "chosen" : "", title: `id ${id}`},
        element("code", {textContent: shown(text).replace(/^ /, "␣")}), element("span", {textContent: percent(p)}));
      row.style.setProperty("--p", p);
      return row;
    }));
    this.chosen(at);
  }
  times(t) {
    const rate = t.prefill_ms > 0 ? ` · ${Math.round(t.read * 1000 / t.prefill_ms)} tokens/s` : "";
    const speed = t.tokens_a_second;
    const rows = [
      ["Pictures encoded", time(t.encode_ms), `${t.pictures}, kept for the next time`],
      ["Waited", time(t.wait_ms), "for its turn"],
      ["Prompt read", time(t.prefill_ms), `${t.read} tokens${rate}`],
      ["Written", speed ? `${speed.toFixed(speed < 100 ? 1 : 0)} tokens/s` : time(t.write_ms),
        `${t.written} ${t.written === 1 ? "token" : "tokens"}`],
    ];
    the("times").replaceChildren(...rows.map(([name, value, note]) => element("div", {},
      element("dt", {textContent: name}), element("dd", {}, value), element("small", {className: "quiet", textContent: note}))));
    the("times").hidden = false;
  }
}
