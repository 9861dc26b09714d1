/** Open alerts, kept current by the live connection, and what people do with them. */

import { api, ApiError } from '../api/client';
import type { Alert, AlertNews, Entry, RuleInfo } from '../api/types';
import { person } from './person.svelte';

export const SEVERITIES = ['critical', 'severe', 'warning', 'info'] as const;
const PAGE = 200;
const SETTLE = 400;

class AlertStore {
  open = $state.raw<Alert[]>([]);
  /** Open alerts by severity, of all, also those not listed here. */
  counts = $state.raw<Record<string, number>>({});
  unacknowledged = $state(0);
  more = $state(false);
  rules = $state.raw<RuleInfo[]>([]);
  journal = $state.raw<Entry[]>([]);
  failure = $state('');
  private revision = -1;
  private timer = 0;

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
    await this.work(() => api.enableRule(name, enabled, person.name));
    await this.readRules();
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

  private async work(task: () => Promise<unknown>): Promise<void> {
    this.failure = '';
    try {
      await task();
    } catch (error) {
      this.failure = error instanceof ApiError && error.hint ? `${error.message} (${error.hint})` : (error as Error).message;
    }
  }
}

function rank(alert: Alert): number {
  return SEVERITIES.indexOf(alert.severity) + (alert.state === 'acknowledged' ? SEVERITIES.length : 0);
}

function sorted(list: Alert[]): Alert[] {
  return [...list].sort((a, b) => rank(a) - rank(b) || Date.parse(b.opened) - Date.parse(a.opened) || b.id - a.id);
}

export const alerts = new AlertStore();
