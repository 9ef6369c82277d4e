// What the page asks of its server.

/** The server's own words where it refuses. */
async function refusal(response) {
  try {
    return new Error((await response.json()).error.message);
  } catch {
    return new Error(`The server answered with HTTP status ${response.status}.`);
  }
}

export async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

const posted = (body, signal) =>
  ({method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body), signal});

/** Calls told(event) for each event of a streamed answer. */
export async function write(asked, signal, told) {
  const response = await fetch("/studio/write", posted(asked, signal));
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", ended = false;
  for (;;) {
    const {value, done} = await reader.read();
    if (done) break;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const json = JSON.parse(event.slice("data: ".length));
      if (json.error) throw new Error(json.error.message);
      ended ||= Boolean(json.end);
      told(json);
    }
  }
  if (!ended) throw new Error("The server went away before the answer was whole.");
}

export async function cancel(run) {
  const response = await fetch("/studio/cancel", posted({run}));
  if (!response.ok) throw await refusal(response);
}
