import type { Transaction } from 'kysely';
import type { ReportNames } from './audit/report/access-item.ts';
import { catalogued } from './catalogue/catalogue.ts';
import { grantableFields, isRetired } from './catalogue/certificate-type.ts';
import { readNewestType } from './catalogue/store.ts';
import { addDays, endOfDay, startOfDay } from './certificates/city-day.ts';
import type { Tables } from './db/tables.ts';
import type { ApplicableType } from './grants/application.ts';
import type { Core } from './hub-core.ts';
import type { LookupType } from './lookup/permitted-types.ts';

/** What a capability asks about what another one keeps: folders that may not reach each other are told by function. */
export function hubFacts({ config, keys, registry, catalogue, matters, tampered, today: day }: Core) {
  const { cityTimeZone, decisionDays } = config;
  const clientOf = async (clientId: string) => (await registry.read()).clients.get(clientId);
  return {
    /** The day of the city, yyyy-mm-dd, and when it begins. */
    day,
    startOfDay: (of: string): Date => startOfDay(of, cityTimeZone),
    nextDay: (at: Date): Date => endOfDay(day(at), cityTimeZone),
    /** When a decision or an answer that becomes due at that moment is late. */
    dueAfter: (at: Date): Date => endOfDay(addDays(day(at), decisionDays), cityTimeZone),
    isDepartment: async (code: string): Promise<boolean> => (await registry.read()).departments.has(code),
    /** Undefined for a client that is unknown or disabled. */
    rolesOf: async (clientId: string): Promise<readonly string[] | undefined> => {
      const client = await clientOf(clientId);
      return client === undefined || client.disabledAt !== null ? undefined : client.roles;
    },
    registeredAt: async (clientId: string): Promise<Date | undefined> => (await clientOf(clientId))?.createdAt,
    /** Enabled systems of a department that may look up certificates. */
    consumersOf: async (departmentCode: string): Promise<readonly string[]> =>
      [...(await registry.read()).clients.values()].flatMap(({ id, roles, department, disabledAt }) =>
        department === departmentCode && disabledAt === null && roles.includes('consumer') ? [id] : [],
      ),
    /** Departments with an enabled system that decides on grants. */
    deciders: async (): Promise<ReadonlySet<string>> =>
      new Set(
        [...(await registry.read()).clients.values()].flatMap(({ roles, department, disabledAt }) =>
          disabledAt === null && roles.includes('grantor') ? [department] : [],
        ),
      ),
    /** The department that owns each type. */
    owners: async (): Promise<(certificateTypeCode: string) => string | undefined> => {
      const types = await catalogue.read();
      return (code) => types.newest(code)?.type.ownerDepartmentCode;
    },
    /** The newest version of a type, as it is in memory or as the transaction sees it. */
    findType: async (code: string, trx?: Transaction<Tables>): Promise<(LookupType & ApplicableType) | undefined> => {
      const types = trx === undefined ? await catalogue.read() : undefined;
      const stored = trx === undefined ? undefined : await readNewestType(trx, { keys, tampered }, code);
      const entry = stored === undefined ? types?.newest(code) : catalogued(stored);
      if (entry === undefined) return undefined;
      const { type, shapes } = entry;
      const { name, ownerDepartmentCode, decidedBy } = type;
      const fields = grantableFields(type);
      const sensitive = fields.filter((field) => field.class === 'sensitive');
      return {
        name,
        ownerDepartmentCode,
        fieldNames: fields.map((field) => field.name),
        sensitiveFieldNames: sensitive.map((field) => field.name),
        ...(decidedBy !== undefined && { decidedBy }),
        isRetired: isRetired(type),
        shapeFault: (field, value) => shapes.get(field)?.(value),
        migrationOf: (field) => {
          // The oldest version without it since it was last there.
          for (let version = type.version - 1; version > 0; version -= 1) {
            const before = types?.version(code, version)?.type;
            if (before?.fields.some(({ name }) => name === field) !== true) continue;
            return types?.version(code, version + 1)?.type.note?.migrationNote;
          }
          return undefined;
        },
      };
    },
    /** Whether any type has a field of this name. */
    isField: async (name: string): Promise<boolean> =>
      (await catalogue.read()).types.some((type) => grantableFields(type).some((field) => field.name === name)),
    /** What codes are called now. */
    names: async (): Promise<ReportNames> => {
      const [{ departments, clients }, types, known] = await Promise.all([
        registry.read(),
        catalogue.read(),
        matters.read(),
      ]);
      return {
        department: (code) => departments.get(code)?.name,
        system: (clientId) => clients.get(clientId)?.name,
        type: (code) => types.newest(code)?.type.name,
        matter: (code) => known.newest(code)?.name,
        // A field that the newest version has no more is still named by the version that had it.
        field: (code, name) => {
          for (let version = types.newest(code)?.type.version ?? 0; version > 0; version -= 1) {
            const type = types.version(code, version)?.type;
            const field = type && grantableFields(type).find((each) => each.name === name);
            if (field !== undefined) return field.label;
          }
          return undefined;
        },
      };
    },
  };
}
