/** Open alerts, kept current by the live connection, and what people do with them. */

import { api } from '../api/client';
import type { Alert, AlertNews, Entry, RuleChecked, RuleInfo } from '../api/types';
import { live } from './live.svelte';
import { person } from './person.svelte';
import { Tasks } from './tasks.svelte';

export const SEVERITIES = ['critical', 'severe', 'warning', 'info'] as const;
const PAGE = 200;
const SETTLE = 400;
const DAY = 86_400_000;

class AlertStore extends Tasks {
  open = $state.raw<Alert[]>([]);
  /** Open alerts by severity, of all, also those not listed here. */
  counts = $state.raw<Record<string, number>>({});
  unacknowledged = $state(0);
  more = $state(false);
  rules = $state.raw<RuleInfo[]>([]);
  journal = $state.raw<Entry[]>([]);
  /** What the server says of the rule that is being written, and how many alerts it would have opened in a day. */
  checked = $state.raw<RuleChecked | null>(null);
  tried = $state<number | null>(null);
  /** Counts what has happened: read it to follow the journal. */
  revision = $state(-1);
  private timer = 0;

  /** The gravest severity among open alerts that nobody has acknowledged. */
  get worst(): Alert['severity'] {
    return SEVERITIES.find((s) => this.open.some((a) => a.severity === s && a.state === 'open')) ?? 'info';
  }

  async refresh(): Promise<void> {
    await this.work(async () => {
      const page = await api.alerts(PAGE);
      this.open = sorted(page.alerts);
      this.more = page.next !== null;
    });
  }

  /** News from the live connection. The counts are of all alerts; a gap, or more than it carries, means to ask again. */
  hear(news: AlertNews): void {
    this.counts = news.open;
    this.unacknowledged = news.unacknowledged;
    const gap = this.revision >= 0 && news.revision > this.revision + 1;
    this.revision = news.revision;
    const changed = new Map(news.changed.map((a) => [a.id, a]));
    this.open = sorted([...this.open.filter((a) => !changed.has(a.id)), ...news.changed.filter((a) => a.state !== 'closed')]);
    const all = Object.values(news.open).reduce((a, b) => a + b, 0);
    if (gap || (all !== this.open.length && all <= PAGE)) this.askSoon();
  }

  async acknowledge(ids: number[]): Promise<void> {
    await this.work(async () => {
      const { alerts } = await api.acknowledge(ids, person.name);
      const changed = new Map(alerts.map((a) => [a.id, a]));
      this.open = sorted(this.open.map((a) => changed.get(a.id) ?? a));
      this.unacknowledged = Math.max(0, this.unacknowledged - alerts.length);
    });
  }

  async silence(rule: string, minutes: number): Promise<void> {
    await this.work(() => api.silence(rule, minutes, person.name));
  }

  async readRules(): Promise<void> {
    await this.work(async () => {
      this.rules = (await api.rules()).rules;
    });
  }

  async enable(name: string, enabled: boolean): Promise<void> {
    if (await this.work(() => api.enableRule(name, enabled, person.name))) await this.readRules();
  }

  forgetChecked(): void {
    this.checked = null;
    this.tried = null;
    this.failure = '';
  }

  async checkRule(rule: unknown): Promise<void> {
    await this.work(async () => {
      this.checked = await api.checkRule(rule);
    });
  }

  async tryRule(rule: unknown): Promise<void> {
    await this.work(async () => {
      const { counts } = await api.tryRule(rule, live.now - DAY, live.now);
      this.tried = Object.values(counts).reduce((a, b) => a + b, 0);
    });
  }

  async makeRule(name: string, rule: unknown): Promise<boolean> {
    const made = await this.work(() => api.makeRule(name, rule, person.name));
    if (made) await this.readRules();
    return made;
  }

  async removeRule(name: string): Promise<void> {
    if (await this.work(() => api.removeRule(name, person.name))) await this.readRules();
  }

  async readJournal(): Promise<void> {
    await this.work(async () => {
      this.journal = (await api.journal(100)).entries;
    });
  }

  private askSoon(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.refresh(), SETTLE);
  }
}

function rank(alert: Alert): number {
  return SEVERITIES.indexOf(alert.severity) + (alert.state === 'acknowledged' ? SEVERITIES.length : 0);
}

function sorted(list: Alert[]): Alert[] {
  return [...list].sort((a, b) => rank(a) - rank(b) || Date.parse(b.opened) - Date.parse(a.opened) || b.id - a.id);
}

export const alerts = new AlertStore();
