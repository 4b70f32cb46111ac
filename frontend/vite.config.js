import { defineConfig, transformWithEsbuild } from "vite"

// In library mode Vite leaves the spaces of an ES module in place; this takes them out.
const squeeze = {
  name: "squeeze",
  apply: "build",
  generateBundle: {
    order: "post",
    async handler(_, bundle) {
      for (const chunk of Object.values(bundle)) {
        const options = { minify: true, target: "es2022", format: "esm", sourcemap: false }
        chunk.code = (await transformWithEsbuild(chunk.code, chunk.fileName, options)).code
      }
    },
  },
}

export default defineConfig({
  plugins: [squeeze],
  build: {
    target: "es2022",
    outDir: "../dashboard/viewer/build",
    emptyOutDir: true,
    lib: { entry: "src/index.js", formats: ["es"] },
    rollupOptions: { output: { entryFileNames: "viewer-[hash].js" } },
  },
  test: { environment: "node", include: ["tests/**/*.test.js"] },
})
