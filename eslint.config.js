import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  {
    ignores: [
      'node_modules',
      '**/dist',
      'data',
      'coverage',
      'bench/results',
      'test/.cache',
      'test/results',
      'web/dist',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowAny: false, allowNullish: false },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'Use a union of string literals: enums are not erasable.' },
        { selector: 'ExportDefaultDeclaration', message: 'Use named exports.' },
      ],
    },
  },
  {
    // Quantities and amounts never pass through a JavaScript number.
    files: ['src/money/**', 'src/rating/**', 'src/invoice/**', 'src/catalog/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'parseFloat', message: 'Amounts and quantities are exact decimals: use money/decimal.ts.' },
      ],
    },
  },
  {
    // The pure folders read no clock, draw no random number, and do no I/O.
    files: [
      'src/money/**',
      'src/time/**',
      'src/id/**',
      'src/usage/**',
      'src/catalog/**',
      'src/customer/**',
      'src/subscription/**',
      'src/rating/**',
    ],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Time arrives as an argument.' },
        { object: 'Math', property: 'random', message: 'Randomness arrives as an argument.' },
        { object: 'process', property: 'env', message: 'config.ts is the only reader of process.env.' },
      ],
    },
  },
  {
    files: ['src/**'],
    ignores: ['src/config.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'config.ts is the only reader of process.env.' },
      ],
    },
  },
  {
    files: ['src/store/**', 'src/aggregate/**', 'src/app/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "Property[key.name='clickhouse_settings']",
          message:
            'Settings stand in the SQL text, from constants: on the embedded engine they stick to the session.',
        },
      ],
    },
  },
  { files: ['eslint.config.js', '*.config.ts'], rules: { 'no-restricted-syntax': 'off' } },
)
