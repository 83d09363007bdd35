import tseslint from 'typescript-eslint'
import hooks from 'eslint-plugin-react-hooks'

// Features mirror the domains of the server; like them they do not import each other.
const boundaries = {
  'no-restricted-imports': [
    'error',
    { patterns: [{ regex: '^@/features/', message: 'A feature does not import another feature; share it in ui, charts or lib.' }] },
  ],
}

export default tseslint.config(
  { ignores: ['node_modules', 'dist', 'public'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    plugins: { 'react-hooks': hooks },
    rules: {
      'react-hooks/rules-of-hooks': 'error',
      'react-hooks/exhaustive-deps': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-console': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  { files: ['src/{ui,charts,lib,features}/**/*.{ts,tsx}'], rules: boundaries },
  { files: ['scripts/**'], rules: { 'no-console': 'off' } },
)
