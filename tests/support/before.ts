import { apart } from './apart.ts';

// tap runs this once before all tests.
apart('hold');
