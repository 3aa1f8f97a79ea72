import { defineConfig } from 'vitest/config'

// Three suites by what they need: `unit` needs Node and git, `nix` a working Nix, `e2e` Nix and real
// registry clients (scripts/setup installs them).
export default defineConfig({
  test: {
    // More would have services, Nix and daemons of different files wait for each other.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.nix.test.ts', 'test/e2e/**'],
        },
      },
      {
        test: {
          name: 'nix',
          include: ['test/**/*.nix.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
