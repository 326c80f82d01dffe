// Courier's official client of Node: only the base URL and the key are ours. What a script expects to arrive by mail
// it tells at its end with `arrives`, one line of JSON, which is compared with what came.
import Courier from "@trycourier/courier";

export const client = new Courier({
  baseURL: process.env.COURIER_BASE_URL,
  apiKey: process.env.COURIER_API_KEY,
  maxRetries: 0,
});

export const once = (key) => ({ headers: { "Idempotency-Key": key } });

export const arrives = (address, ...letters) => console.log(JSON.stringify({ address, letters }));
