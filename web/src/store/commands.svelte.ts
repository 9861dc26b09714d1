/** Commands to the chosen device: what it takes, a try on the twin, and how those that were sent stand. */

import { api, said } from '../api/client';
import type { Command, CommandKind, Tried } from '../api/types';
import { person } from './person.svelte';
import { Tasks } from './tasks.svelte';

const KEPT = 20;

class CommandsStore extends Tasks {
  device = $state('');
  kinds = $state.raw<CommandKind[]>([]);
  recent = $state.raw<Command[]>([]);
  /** What the last try on the twin found, for the command it was asked about. */
  tried = $state.raw<Tried | null>(null);

  async follow(device: string): Promise<void> {
    this.device = device;
    this.forget();
    this.kinds = [];
    this.recent = [];
    try {
      const found = await api.commandsOf(device);
      if (this.device !== device) return;
      this.kinds = found.kinds;
      this.recent = found.recent;
    } catch (error) {
      if (this.device === device) this.failure = said(error);
    }
  }

  forget(): void {
    this.tried = null;
    this.failure = '';
  }

  async attempt(kind: CommandKind, value: number | string, reason: string): Promise<void> {
    this.forget();
    await this.work(async () => {
      this.tried = await api.tryCommand(this.asked(kind.name, value, reason));
    });
  }

  async send(reason: string): Promise<void> {
    const tried = this.tried;
    if (!tried?.ok) return;
    await this.work(async () => {
      this.hear(await api.sendCommand({ ...this.asked(tried.command, tried.value, reason), ticket: tried.ticket }));
      this.tried = null;
    });
  }

  /** News of a command, from the answer to our request or from the live connection. */
  hear(command: Command): void {
    if (command.device !== this.device) return;
    const known = this.recent.find((c) => c.id === command.id);
    if (known && known.standing !== 'sent' && command.standing === 'sent') return;
    this.recent = [command, ...this.recent.filter((c) => c.id !== command.id)].sort((a, b) => b.made - a.made).slice(0, KEPT);
  }

  private asked(command: string, value: number | string, reason: string): Record<string, unknown> {
    return { device: this.device, command, value, actor: person.name, role: person.role, reason };
  }
}

export const commands = new CommandsStore();
