import { apart } from './apart.ts';

// tap runs this once after all tests; the last run of this checkout to end stops the server.
apart('release');
