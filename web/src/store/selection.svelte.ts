/** The thing that someone clicked, with the way back to those before it. */

import { api } from '../api/client';
import type { Thing } from '../api/types';
import { view } from './view.svelte';

export interface Chosen {
  table: string;
  key: string;
}

class SelectionStore {
  chosen = $state.raw<Chosen | null>(null);
  thing = $state.raw<Thing | null>(null);
  /** A bare place on the ground, when nothing stands there. */
  place = $state.raw<[number, number] | null>(null);
  failure = $state('');
  trail = $state.raw<Chosen[]>([]);

  get open(): boolean {
    return this.chosen !== null || this.place !== null;
  }

  async choose(table: string, key: string, remember = true): Promise<void> {
    if (remember && this.chosen) this.trail = [...this.trail.slice(-19), this.chosen];
    this.chosen = { table, key };
    this.place = null;
    this.failure = '';
    if (view.narrow) view.panel = '';
    await this.refresh();
  }

  /** Asks again for the chosen thing (its state moves on). */
  async refresh(): Promise<void> {
    const wanted = this.chosen;
    if (!wanted) return;
    try {
      const found = await api.thing(wanted.table, wanted.key);
      if (this.chosen === wanted) this.thing = found;
    } catch (error) {
      if (this.chosen !== wanted) return;
      this.thing = null;
      this.failure = (error as Error).message;
    }
  }

  choosePlace(lon: number, lat: number): void {
    this.close();
    this.place = [lon, lat];
  }

  back(): void {
    const last = this.trail.at(-1);
    this.trail = this.trail.slice(0, -1);
    if (last) void this.choose(last.table, last.key, false);
  }

  close(): void {
    this.chosen = null;
    this.thing = null;
    this.place = null;
    this.trail = [];
    this.failure = '';
  }
}

export const selection = new SelectionStore();
