/** What the city is and what its numbers mean: fetched once, when the page opens. */

import { api, ApiError } from '../api/client';
import type { CityInfo, Column, DeviceKind, SimulatorInfo } from '../api/types';

class CityStore {
  info = $state.raw<CityInfo | null>(null);
  columns = $state.raw(new Map<string, Column>());
  kinds = $state.raw(new Map<string, DeviceKind>());
  simulators = $state.raw<SimulatorInfo[]>([]);
  failure = $state.raw<ApiError | null>(null);

  async load(): Promise<void> {
    try {
      const [info, columns, kinds, simulators] = await Promise.all([api.city(), api.columns(), api.deviceKinds(), api.simulators()]);
      this.columns = new Map(columns.map((c) => [c.name, c]));
      this.kinds = new Map(kinds.map((k) => [k.name, k]));
      this.simulators = simulators;
      this.info = info;
      this.failure = null;
      document.title = `${info.name} · citytwin`;
    } catch (error) {
      this.failure = error instanceof ApiError ? error : new ApiError(String(error), 0);
    }
  }

  /** The column called `name`; one that nobody declared gets a plain declaration. */
  column(name: string): Column {
    return this.columns.get(name) ?? undeclared(name);
  }

  simulator(name: string): SimulatorInfo | undefined {
    return this.simulators.find((s) => s.name === name);
  }
}

function undeclared(name: string): Column {
  const title = name.replace(/_/g, ' ');
  return {
    name, title: title.charAt(0).toUpperCase() + title.slice(1), table: '', unit: '1', meaning: '', low: null, high: null,
    start: null, peak: 'last', ramp: 'level', steps: [], categories: [], source: '',
  };
}

export const city = new CityStore();
