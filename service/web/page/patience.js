/** Asking again where asking again helps: a full queue, a service that starts, a key that is missing. */

import { concernsKeyInUse, Unreachable } from "./api.js";
import { askForKey } from "./keyentry.js";

/** Seconds of waiting after which a refusal is believed. */
const LONGEST = 120;
const LATE_ANSWERS = 3;

/**
 * The result of `work`, tried again while that makes sense.
 * @param {() => Promise<any>} work
 * @param {{signal?: AbortSignal, waiting?: (error: any, seconds: number) => void}} [options]
 */
export async function patiently(work, { signal, waiting = () => {} } = {}) {
  let waited = 0;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (error.status === 401) {
        if (concernsKeyInUse(error)) await askForKey(error);
        continue;
      }
      const seconds = pause(error, attempt);
      if (seconds === null || waited + seconds > LONGEST) throw error;
      waiting(error, seconds);
      await sleep(seconds, signal);
      waited += seconds;
    }
  }
}

/** Seconds to wait before the next attempt; null where another would end like this one. */
function pause(error, attempt) {
  const growing = Math.min(5, 0.5 * 2 ** attempt);
  if (error instanceof Unreachable) return growing;
  if (error.status === 503 || error.status === 429) return scattered(error.retryAfter ?? growing);
  if (error.status === 504 && attempt < LATE_ANSWERS) return scattered(growing);
  return null;
}

/** A little later than told, each its own, so that those who were refused together do not come back together. */
function scattered(seconds) {
  return seconds * (1 + Math.random() / 2);
}

export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
