/** Announced earthquakes: which runs belong to one event, and which devices told of it. */

import { address } from './client';

export interface Announced {
  id: string;
  name: string;
  time: string | null;
  runs: string[];
  devices: { name: string; intensity?: number }[];
  left_out: Record<string, string>;
  drill: boolean;
  listening: boolean;
}

/** All events, newest first; none where the server cannot say. */
export async function announced(): Promise<Announced[]> {
  try {
    const response = await fetch(address('events/earthquake'));
    return response.ok ? ((await response.json()) as Announced[]) : [];
  } catch {
    return [];
  }
}
