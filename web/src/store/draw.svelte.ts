/** Asks for a place, a line or an area on the map, and hands it to whoever asked. */

import type { LonLat } from '../lib/frames';

export type DrawKind = 'place' | 'line' | 'area';
const LEAST: Record<DrawKind, number> = { place: 1, line: 2, area: 3 };

class DrawStore {
  kind = $state<DrawKind | null>(null);
  what = $state('');
  points = $state.raw<LonLat[]>([]);
  private done: (points: LonLat[]) => void = () => undefined;

  get complete(): boolean {
    return this.kind !== null && this.points.length >= LEAST[this.kind];
  }

  ask(kind: DrawKind, what: string, done: (points: LonLat[]) => void): void {
    this.kind = kind;
    this.what = what;
    this.points = [];
    this.done = done;
  }

  add(point: LonLat): void {
    this.points = [...this.points, [Number(point[0].toFixed(6)), Number(point[1].toFixed(6))]];
    if (this.kind === 'place') this.finish();
  }

  undo(): void {
    this.points = this.points.slice(0, -1);
  }

  finish(): void {
    if (!this.complete) return;
    const points = this.points;
    this.cancel();
    this.done(points);
  }

  cancel(): void {
    this.kind = null;
    this.points = [];
  }
}

export const draw = new DrawStore();
