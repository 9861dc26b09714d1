/** The live connection: binary frames of devices and JSON messages, reconnected by itself. */

import { decodeLive, type Delta, type Snapshot } from '../lib/frames';
import { address } from './client';
import type { AlertNews, Command } from './types';

export type Message =
  | { type: 'clock'; now: string }
  | { type: 'run'; id: string; status: string; progress: number; words: string }
  | ({ type: 'command' } & Command)
  | ({ type: 'alerts' } & AlertNews)
  | { type: 'optimisation'; id: string; status: string; progress: number; words: string }
  | ({ type: 'quality' } & Record<string, unknown>);

export interface Listener {
  frame(frame: Snapshot | Delta): void;
  message(message: Message): void;
  /** Called when the connection opens or is lost. */
  connected(yes: boolean): void;
  /** A frame that could not be read. */
  broken(error: Error): void;
}

const QUIET = 12_000;
const LONGEST_WAIT = 15_000;

/** Keeps a connection to /api/live open. Silence for 12 s counts as lost. Returns the function that ends it. */
export function listen(listener: Listener): () => void {
  let socket: WebSocket | null = null;
  let wait = 500;
  let retry = 0;
  let watch = 0;
  let ended = false;

  const heard = (): void => {
    clearTimeout(watch);
    watch = window.setTimeout(() => socket?.close(), QUIET);
  };
  const open = (): void => {
    socket = new WebSocket(address('live').replace(/^http/, 'ws'));
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      wait = 500;
      heard();
      listener.connected(true);
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      heard();
      try {
        if (typeof event.data === 'string') listener.message(JSON.parse(event.data) as Message);
        else listener.frame(decodeLive(event.data));
      } catch (error) {
        listener.broken(error as Error);
      }
    };
    socket.onclose = () => {
      clearTimeout(watch);
      if (ended) return;
      listener.connected(false);
      retry = window.setTimeout(open, wait);
      wait = Math.min(LONGEST_WAIT, wait * 1.7);
    };
  };
  open();
  return () => {
    ended = true;
    clearTimeout(retry);
    clearTimeout(watch);
    socket?.close();
  };
}
