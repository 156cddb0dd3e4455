/**
 * The server's side of the page: Gradio's own routes, as its browser client uses them. Small, because the page must know
 * its place in the queue, give it up, and tell a busy server from a lost one, and say each in its own words.
 */

export class Refusal extends Error {} // the server answered in a sentence that is for the visitor
export class Busy extends Refusal {} // it will take the same question later
export class Lost extends Error {} // nobody answered

const SILENCE = 45_000; // ms; a living server says something every 15 s

export function connect(root, config = window.gradio_config) {
  const session = crypto.getRandomValues(new Uint32Array(3)).join("");
  const address = (route) => new URL(`gradio_api/${route}`, root);
  const functions = Object.fromEntries(config.dependencies.map(({ api_name: name, id }) => [name, id]));

  /** A short question outside the queue. */
  async function call(name, ...data) {
    const { data: answer } = await json(address(`run/${name}`), { data, session_hash: session });
    return answer[0];
  }

  /** A question that waits its turn. `onPlace({ place, seconds })` while it does; aborting `signal` gives the place up. */
  async function ask(name, data, { signal, onPlace }) {
    const own = `${session}${Math.random().toString(36).slice(2, 10)}`;
    const body = { data, session_hash: own, fn_index: functions[name], event_data: null, trigger_id: null };
    const { event_id: event } = await json(address("queue/join"), body, { signal, headers: await quotaHeaders() });
    return new Promise((resolve, reject) => {
      const messages = new EventSource(address(`queue/data?session_hash=${own}`));
      let silence;
      const end = (settle, value) => {
        clearTimeout(silence);
        messages.close();
        signal.removeEventListener("abort", giveUp);
        settle(value);
      };
      const giveUp = () => {
        const leave = { session_hash: own, fn_index: functions[name], event_id: event };
        json(address("cancel"), leave).catch(() => {}); // closing the stream frees a waiting place, too
        end(reject, signal.reason);
      };
      const listen = () => {
        clearTimeout(silence);
        silence = setTimeout(() => end(reject, new Lost()), SILENCE);
      };
      messages.onmessage = ({ data: text }) => {
        listen();
        const message = JSON.parse(text);
        if (message.msg === "estimation") onPlace({ place: message.rank, seconds: message.rank_eta });
        else if (message.msg === "process_starts") onPlace({ place: -1, seconds: message.eta });
        else if (message.msg === "process_completed") {
          if (message.success) end(resolve, message.output.data[0]);
          else end(reject, new Refusal(message.output?.error ?? "The server could not compute this; try again."));
        } else if (message.msg === "unexpected_error") end(reject, new Lost());
      };
      messages.onerror = () => end(reject, new Lost());
      signal.addEventListener("abort", giveUp);
      if (signal.aborted) giveUp();
      else listen();
    });
  }

  /** Where the server put a file. */
  async function upload(file, { signal } = {}) {
    const form = new FormData();
    form.append("files", file, file.name || "picture");
    const [path] = await answer(address(`upload?upload_id=${own()}`), { method: "POST", body: form, signal });
    return path;
  }

  const own = () => Math.random().toString(36).slice(2, 12);
  return { call, ask, upload };
}

const json = (address, body, { signal, headers = {} } = {}) =>
  answer(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal,
  });

async function answer(address, settings) {
  let response;
  try {
    response = await fetch(address, settings);
  } catch (error) {
    if (settings.signal?.aborted) throw settings.signal.reason;
    throw new Lost(error.message);
  }
  const body = await response.json().catch(() => {
    settings.signal?.throwIfAborted(); // given up while the answer came: it is no empty answer
    return {};
  });
  if (response.ok) return body;
  const sentence = typeof body.detail === "string" ? body.detail : (body.error ?? null);
  if (response.status === 429 || response.status === 503) throw new Busy(sentence ?? "The server is busy.");
  if (response.status >= 502) throw new Lost(response.statusText);
  throw new Refusal(sentence ?? "The server did not accept this; load the page again.");
}

/** On a ZeroGPU Space the page around this one knows who the visitor is, for the visitor's own share of GPU time. */
async function quotaHeaders() {
  if (!window.supports_zerogpu_headers || window.parent === window) return {};
  const host = location.hostname;
  const development = host.includes(".dev.");
  const owner = development ? `https://moon-${host.split(".")[1]}.dev.spaces.huggingface.tech` : "https://huggingface.co";
  const channel = new MessageChannel();
  const headers = new Promise((resolve) => {
    channel.port1.onmessage = ({ data }) => resolve(data ?? {});
    setTimeout(resolve, 1000, {});
  });
  window.parent.postMessage("zerogpu-headers", owner, [channel.port2]);
  return headers;
}
