/** Runs of scenarios: their list and progress, the one or two that are shown, and their frames and tables. */

import { api, ApiError } from '../api/client';
import type { Column, RunDetail, RunInfo, TableColumns } from '../api/types';
import { filledShare, type Raster } from '../lib/frames';
import type { Span } from '../lib/timeline';
import { city } from './city.svelte';
import { time } from './time.svelte';
import { view } from './view.svelte';

export type Mode = 'a' | 'b' | 'swipe' | 'difference';

/** What the map shows of a run besides the ground: one column of one table. */
export interface Overlay {
  table: string;
  column: string;
}

class RunStore {
  list = $state.raw<RunInfo[]>([]);
  details = $state.raw<Record<string, RunDetail>>({});
  a = $state('');
  b = $state('');
  mode = $state<Mode>('a');
  swipe = $state(0.5);
  /** The cell column on the map; empty is none. */
  column = $state('');
  overlay = $state.raw<Overlay | null>(null);
  rasters = $state.raw<Record<string, Raster>>({});
  tables = $state.raw<Record<string, TableColumns>>({});
  extents = $state.raw<Record<string, number[]>>({});
  loading = $state('');
  failure = $state('');
  private watched = new Set<string>();
  private asking = new Set<string>();

  get first(): RunDetail | null {
    return this.details[this.a] ?? null;
  }

  get second(): RunDetail | null {
    return this.details[this.b] ?? null;
  }

  get rasterA(): Raster | null {
    return this.rasters[`${this.a}/${this.column}`] ?? null;
  }

  get rasterB(): Raster | null {
    return this.b ? (this.rasters[`${this.b}/${this.column}`] ?? null) : null;
  }

  /** Declarations of the cell columns that the shown run kept. */
  get cellColumns(): Column[] {
    return (this.first?.frames?.columns ?? []).map((name) => this.declaration(name)).filter((c) => c.table === 'cell' || c.table === '');
  }

  /** The declared columns of other tables that the shown run wrote. */
  get tableColumns(): Column[] {
    return (this.first?.result?.columns ?? []).filter((c) => c.table !== 'cell' && c.table !== 'device');
  }

  declaration(name: string): Column {
    return this.first?.result?.columns.find((c) => c.name === name) ?? city.column(name);
  }

  async refresh(): Promise<void> {
    try {
      this.list = sorted(await api.runs());
    } catch (error) {
      this.failure = (error as Error).message;
    }
  }

  async start(scenario: unknown): Promise<string> {
    const { id } = await api.startRun(scenario);
    this.watched.add(id);
    await this.refresh();
    return id;
  }

  /** Progress told by the server; a finished run that was started here is shown. */
  hear(message: { id: string; status: string; progress: number; words: string }): void {
    const known = this.list.find((r) => r.id === message.id);
    const status = message.status as RunInfo['status'];
    if (!known) {
      void this.refresh();
    } else {
      this.list = this.list.map((r) => (r.id === message.id ? { ...r, status, progress: message.progress, words: message.words } : r));
    }
    if (status === 'queued' || status === 'running' || known?.status === status) return;
    void this.refresh();
    if (status === 'done' && this.watched.delete(message.id)) void this.present(message.id, known?.name ?? 'The run');
  }

  /** Shows a run that just ended, with its result beside the map. */
  private async present(id: string, name: string): Promise<void> {
    await this.show(id, true);
    view.result = true;
    view.say(`${name} is done`);
  }

  async remove(id: string): Promise<void> {
    await api.deleteRun(id);
    if (id === this.a) this.hide();
    if (id === this.b) this.compare('');
    await this.refresh();
  }

  /** Shows run `id` on map and panels; `jump` moves to the moment of its greatest extent. */
  async show(id: string, jump: boolean): Promise<void> {
    this.failure = '';
    try {
      const detail = await this.detail(id);
      if (id === this.b) this.b = '';
      if (!this.b) this.mode = 'a';
      this.a = id;
      const columns = this.cellColumns.map((c) => c.name);
      if (!columns.includes(this.column)) this.column = columns.find((c) => !c.endsWith('_peak')) ?? '';
      this.spans();
      time.fit();
      await this.loadFrames();
      if (jump) time.go(this.greatest(detail));
    } catch (error) {
      this.failure = error instanceof ApiError ? error.message : String(error);
    }
  }

  hide(): void {
    this.a = '';
    this.b = '';
    this.mode = 'a';
    this.overlay = null;
    this.spans();
    time.play(false);
    time.go(null);
    time.fit();
  }

  async compare(id: string): Promise<void> {
    this.b = id;
    this.mode = id ? 'swipe' : 'a';
    if (!id) {
      this.spans();
      return;
    }
    await this.detail(id);
    this.spans();
    view.result = true;
    await this.loadFrames();
  }

  async setColumn(name: string): Promise<void> {
    this.column = name;
    await this.loadFrames();
  }

  async setOverlay(overlay: Overlay | null): Promise<void> {
    this.overlay = overlay;
    if (overlay) await this.table(this.a, overlay.table);
  }

  async detail(id: string): Promise<RunDetail> {
    const known = this.details[id];
    if (known && known.status === 'done') return known;
    const found = await api.run(id);
    this.details = { ...this.details, [id]: found };
    return found;
  }

  async table(id: string, table: string): Promise<TableColumns | null> {
    const name = `${id}/${table}`;
    const known = this.tables[name];
    if (known || this.asking.has(name)) return known ?? null;
    this.asking.add(name);
    try {
      const found = await api.table(id, table);
      this.tables = { ...this.tables, [name]: found };
      return found;
    } catch (error) {
      this.failure = (error as Error).message;
      return null;
    } finally {
      this.asking.delete(name);
    }
  }

  startOf(id: string): number {
    const d = this.details[id];
    return Date.parse(d?.frames?.start ?? d?.result?.start ?? '');
  }

  private async loadFrames(): Promise<void> {
    for (const id of [this.a, this.b]) {
      const name = `${id}/${this.column}`;
      if (!id || !this.column || this.rasters[name]) continue;
      if (!this.details[id]?.frames?.columns.includes(this.column)) continue;
      this.loading = name;
      try {
        const raster = await api.frames(id, this.column);
        this.rasters = { ...this.rasters, [name]: raster };
        this.extents = { ...this.extents, [name]: filledShare(raster, this.declaration(this.column).steps[0] ?? 0) };
      } catch (error) {
        this.failure = (error as Error).message;
      } finally {
        this.loading = '';
      }
    }
  }

  private greatest(detail: RunDetail): number {
    const extent = this.extents[`${detail.id}/${this.column}`] ?? [];
    const times = this.rasterA?.times ?? detail.frames?.times ?? [0];
    const index = extent.length > 0 ? extent.indexOf(Math.max(...extent)) : times.length - 1;
    return this.startOf(detail.id) + (times[index] ?? 0) * 1000;
  }

  private spans(): void {
    time.forecasts = [this.a, this.b].filter((id) => id && this.details[id]).map((id): Span => {
      const start = this.startOf(id);
      const detail = this.details[id]!;
      const last = detail.frames?.times.at(-1) ?? detail.result?.simulated_s ?? 0;
      return [start, start + last * 1000];
    });
  }
}

function sorted(list: RunInfo[]): RunInfo[] {
  const when = (r: RunInfo): number => (typeof r.started === 'number' ? r.started * 1000 : Date.parse(r.started ?? '') || 0);
  return [...list].sort((a, b) => when(b) - when(a));
}

export const runs = new RunStore();
