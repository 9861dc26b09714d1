/** The devices as they are: positions, values and status, kept current by the live connection. */

import { api } from '../api/client';
import { listen, type Message } from '../api/live';
import type { AlertNews, Command, DeviceList } from '../api/types';
import type { Delta, Snapshot } from '../lib/frames';
import { Grid } from '../lib/grid';

export const STATUSES = ['unknown', 'online', 'late', 'silent', 'faulty', 'maintenance'] as const;
const WORLD = 2 ** 32;

export interface Shown {
  value: Float32Array;
  status: Uint8Array;
}

/** Who wants to know of what the live connection says beside devices. */
interface Hears {
  run: (message: Extract<Message, { type: 'run' }>) => void;
  command: (command: Command) => void;
  alerts: (news: AlertNews) => void;
  search: (message: Extract<Message, { type: 'optimisation' }>) => void;
}

class LiveStore {
  list = $state.raw<DeviceList>({ keys: [], kinds: [], kind: [], names: [] });
  connected = $state(false);
  /** When the connection was lost, ms; null while it holds or before it first opened. */
  lostAt = $state<number | null>(null);
  /** Counts every change of what is shown: read it to follow the arrays below. */
  version = $state(0);
  /** Counts snapshots: positions may have changed. */
  layout = $state(0);
  updates = $state(0);
  resyncs = $state(0);
  lastChange = $state(0);
  counts = $state.raw<Record<string, number>>({});
  refused = $state.raw<Record<string, number>>({});
  believed = $state(0);
  problem = $state('');
  /** Server time minus our clock, ms. */
  private offset = 0;
  private ticking = $state(Date.now());

  x = new Float64Array(0);
  y = new Float64Array(0);
  kind = new Uint8Array(0);
  private index: Grid | null = null;
  private present: Shown = { value: new Float32Array(0), status: new Uint8Array(0) };
  private past: Shown | null = null;
  private pastAt = 0;
  private sequence = -1;
  private rows = new Map<string, number>();
  private hears: Hears = { run: () => undefined, command: () => undefined, alerts: () => undefined, search: () => undefined };

  /** The present by the server's clock, ms. */
  get now(): number {
    return this.ticking + this.offset;
  }

  get shown(): Shown {
    return this.past ?? this.present;
  }

  /** Where devices are, to find one under the pointer; made anew when it is asked for after some have moved. */
  get grid(): Grid | null {
    if (!this.index && this.x.length > 0) this.index = new Grid(this.x, this.y);
    return this.index;
  }

  get size(): number {
    return this.layout > 0 ? this.x.length : 0;
  }

  async start(hears: Hears): Promise<void> {
    this.hears = hears;
    window.setInterval(() => (this.ticking = Date.now()), 250);
    this.list = await api.devices();
    this.rows = new Map(this.list.keys.map((key, row) => [key, row]));
    listen({
      frame: (frame) => this.take(frame),
      message: (message) => this.hear(message),
      connected: (yes) => {
        this.connected = yes;
        if (yes) this.lostAt = null;
        else this.lostAt ??= Date.now();
      },
      broken: (error) => (this.problem = error.message),
    });
    void api.quality().then((q) => this.tally(q.counts), () => undefined);
  }

  rowOf(key: string): number {
    return this.rows.get(key) ?? -1;
  }

  /** The moment that is shown, s since 1970, where it is past; 0 while the present is shown. */
  get pastTime(): number {
    return this.version >= 0 ? this.pastAt : 0;
  }

  /** Shows the devices as they were (null: as they are). */
  showPast(frame: Snapshot | null): void {
    this.past = frame && { value: frame.value, status: frame.status };
    this.pastAt = frame?.time ?? 0;
    this.changed();
  }

  private take(frame: Snapshot | Delta): void {
    if (frame.type === 'snapshot') {
      this.place(frame);
    } else if (frame.sequence === this.sequence + 1) {
      frame.row.forEach((row, i) => {
        this.present.value[row] = frame.value[i]!;
        this.present.status[row] = frame.status[i]!;
      });
      this.updates += frame.row.length;
      if (frame.moved.row.length > 0) this.move(frame.moved);
    } else if (frame.sequence > this.sequence) {
      void this.resync();
    }
    if (frame.sequence > this.sequence) this.sequence = frame.sequence;
    this.lastChange = frame.time * 1000;
    this.changed();
  }

  private place(frame: Snapshot): void {
    this.x = Float64Array.from(frame.x, (v) => v / WORLD);
    this.y = Float64Array.from(frame.y, (v) => v / WORLD);
    this.kind = frame.kind.slice();
    this.index = null;
    this.present = { value: frame.value.slice(), status: frame.status.slice() };
    this.layout += 1;
  }

  private move(moved: Delta['moved']): void {
    moved.row.forEach((row, i) => {
      this.x[row] = moved.x[i]! / WORLD;
      this.y[row] = moved.y[i]! / WORLD;
    });
    this.index = null;
    this.layout += 1;
  }

  private async resync(): Promise<void> {
    this.resyncs += 1;
    try {
      this.take(await api.snapshot());
    } catch (error) {
      this.problem = (error as Error).message;
    }
  }

  private changed(): void {
    const tally = new Uint32Array(STATUSES.length);
    for (const s of this.shown.status) tally[s] = (tally[s] ?? 0) + 1;
    this.counts = Object.fromEntries(STATUSES.map((name, i) => [name, tally[i] ?? 0]));
    this.version += 1;
  }

  /** Refusals by reason, and readings believed ("good"). */
  private tally(counts: Record<string, unknown>): void {
    const numbers = Object.entries(counts).filter((e): e is [string, number] => typeof e[1] === 'number');
    this.believed = numbers.find(([name]) => name === 'good')?.[1] ?? 0;
    this.refused = Object.fromEntries(numbers.filter(([name, n]) => name !== 'good' && n > 0));
  }

  private hear(message: Message): void {
    if (message.type === 'clock') {
      this.offset = Date.parse(message.now) - Date.now();
    } else if (message.type === 'run') {
      this.hears.run(message);
    } else if (message.type === 'command') {
      this.hears.command(message);
    } else if (message.type === 'alerts') {
      this.hears.alerts(message);
    } else if (message.type === 'optimisation') {
      this.hears.search(message);
    } else if (message.type === 'quality') {
      const counts = (message['counts'] ?? message) as Record<string, unknown>;
      this.tally(counts);
    }
  }
}

export const live = new LiveStore();
