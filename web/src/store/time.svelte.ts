/** The one moment that map and panels show, and the time line around it. */

import { api } from '../api/client';
import { fitting, share, timeAt, zoomed, type Span } from '../lib/timeline';
import { live } from './live.svelte';

const HOUR = 3_600_000;

class TimeStore {
  /** The chosen moment, ms; null follows the present. */
  fixed = $state<number | null>(null);
  playing = $state(false);
  /** Simulated seconds per second while playing. */
  speed = $state(600);
  span = $state.raw<Span>([Date.now() - 6 * HOUR, Date.now() + HOUR]);
  past = $state(6 * HOUR);
  forecasts = $state.raw<Span[]>([]);
  loadingPast = $state(false);
  private asked = '';
  private fetching = false;

  get at(): number {
    return this.fixed ?? live.now;
  }

  get isLive(): boolean {
    return this.fixed === null;
  }

  /** The forecast that the chosen moment lies in, of the first run shown. */
  get forecast(): Span | null {
    return this.forecasts[0] ?? null;
  }

  get inForecast(): boolean {
    const span = this.forecast;
    return this.fixed !== null && span !== null && this.fixed >= span[0] - 1000 && this.fixed <= span[1] + 1000;
  }

  fit(): void {
    this.span = fitting(live.now, this.past, this.forecasts);
  }

  zoom(factor: number, centre: number): void {
    this.span = zoomed(this.span, factor, centre);
  }

  pan(portion: number): void {
    const shift = (this.span[1] - this.span[0]) * portion;
    this.span = [this.span[0] + shift, this.span[1] + shift];
  }

  go(time: number | null): void {
    this.fixed = time;
    if (time !== null && (time < this.span[0] || time > this.span[1])) this.reveal(time);
    this.followPast();
  }

  private reveal(time: number): void {
    const length = this.span[1] - this.span[0];
    const begin = time < this.span[0] ? time - length * 0.1 : time - length * 0.9;
    this.span = [begin, begin + length];
  }

  scrub(position: number): void {
    this.go(timeAt(this.span, position));
  }

  step(by: number): void {
    this.playing = false;
    this.go(this.at + by);
  }

  get position(): number {
    return share(this.span, this.at);
  }

  play(yes: boolean): void {
    if (yes === this.playing) return;
    this.playing = yes;
    if (!yes) return;
    const ahead = this.forecast;
    if (ahead && (this.fixed === null || this.fixed >= ahead[1] - 1000 || this.fixed < ahead[0])) this.go(ahead[0]);
    if (this.fixed === null) this.go(this.span[0]);
    if (ahead) this.speed = pickSpeed((ahead[1] - ahead[0]) / 1000);
    let last = performance.now();
    const tick = (moment: number): void => {
      if (!this.playing) return;
      this.advance(Math.min(200, moment - last));
      last = moment;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  private advance(elapsed: number): void {
    const end = this.forecast?.[1] ?? live.now;
    const next = this.at + elapsed * this.speed;
    if (next < end) {
      this.go(next);
      return;
    }
    this.playing = false;
    this.go(this.forecast ? end : null);
  }

  /** Fetches the devices of the chosen moment when it is measured past: one request at a time, then the newest choice. */
  private followPast(): void {
    const at = this.fixed;
    const wanted = at === null || at > live.now - 2000 ? '' : new Date(Math.round(at / 1000) * 1000).toISOString();
    if (wanted === this.asked) return;
    this.asked = wanted;
    if (wanted === '') {
      this.loadingPast = false;
      live.showPast(null);
      return;
    }
    this.loadingPast = true;
    if (!this.fetching) void this.fetchPast();
  }

  private async fetchPast(): Promise<void> {
    this.fetching = true;
    for (let got = ''; this.asked !== '' && got !== this.asked; ) {
      got = this.asked;
      try {
        const frame = await api.snapshot(Date.parse(got));
        if (this.asked !== '') live.showPast(frame);
      } catch (error) {
        live.problem = (error as Error).message;
      }
    }
    this.fetching = false;
    this.loadingPast = false;
  }
}

/** A speed that plays `seconds` in about 15 s, of those that the control offers. */
export function pickSpeed(seconds: number): number {
  return SPEEDS.find((s) => seconds / s <= 20) ?? SPEEDS[SPEEDS.length - 1]!;
}

export const SPEEDS = [1, 10, 60, 120, 300, 600, 1200, 3600, 14_400];

export const time = new TimeStore();
