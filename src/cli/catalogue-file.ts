import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse as parseYaml } from 'yaml';
import type { CatalogueFile } from '../catalogue/catalogue-file.ts';
import { type Contract, operationsOf } from '../http/contract.ts';
import { contractRules } from '../http/validate.ts';
import { parseJsonStrictly } from '../verification/encoding.ts';
import { CommandFailed } from './command-failed.ts';

const contractFile = fileURLToPath(new URL('../../openapi/certhub.yaml', import.meta.url));

/**
 * Reads a catalogue file, checked against the contract as the body of `importCatalogue` is.
 * @throws CommandFailed when it is not JSON; Refusal `contract_violation` with a pointer; what reading a file throws.
 */
export function readCatalogueFile(file: string): CatalogueFile {
  const parsed = parseJsonStrictly(readFileSync(file, 'utf8'));
  if (!parsed.ok) throw new CommandFailed(`${file} is not JSON, or names a member twice`);
  const contract = parseYaml(readFileSync(contractFile, 'utf8')) as Contract;
  const operation = operationsOf(contract).find(({ operationId }) => operationId === 'importCatalogue');
  if (operation === undefined) throw new Error('the contract has no importCatalogue');
  const { body } = contractRules(contract)(operation).checkRequest({
    params: {},
    query: {},
    headers: { 'idempotency-key': 'certhub-catalogue-import' },
    body: parsed.value,
  });
  const { dryRun: _none, ...checked } = body as CatalogueFile & { readonly dryRun?: boolean };
  return checked;
}
