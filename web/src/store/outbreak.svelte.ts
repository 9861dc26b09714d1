/** The live forecast of an epidemic from the city's readings, and which of its numbers the map shows by zone. */

import { api, said } from '../api/client';
import { onMap, type Outbreak, type Shown } from '../lib/outbreak';

class OutbreakStore {
  forecast = $state.raw<Outbreak | null>(null);
  failure = $state('');
  busy = $state(false);
  shown = $state<Shown | null>(null);
  /** What the map is to show, while no column of a run is on it. */
  readonly map = $derived(this.forecast && this.shown ? onMap(this.forecast, this.shown) : null);

  async ask(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.failure = '';
    try {
      this.forecast = await api.epidemicForecast();
    } catch (error) {
      this.forecast = null;
      this.failure = said(error);
    } finally {
      this.busy = false;
    }
  }

  show(name: Shown): void {
    this.shown = this.shown === name ? null : name;
  }
}

export const outbreak = new OutbreakStore();
