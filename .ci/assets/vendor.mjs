// Copy the page's assets out of node_modules into the tree, with versions, licences and hashes.
//   npm ci --ignore-scripts && node vendor.mjs      (or: make assets)
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const modules = join(here, "node_modules");
const lock = JSON.parse(readFileSync(join(here, "package-lock.json")));

const PAGE = join(root, "node/web/static/vendor");
const TESTS = join(root, "tests/web/vendor");
const FONT = "@fontsource-variable/inter";
const FILES = [
  [PAGE, "htmx.org", "dist/htmx.min.js", "htmx.min.js"],
  [PAGE, "uplot", "dist/uPlot.iife.min.js", "uplot.min.js"],
  [PAGE, "uplot", "dist/uPlot.min.css", "uplot.min.css"],
  [PAGE, FONT, "files/inter-latin-wght-normal.woff2", "inter-latin.woff2"],
  [PAGE, FONT, "files/inter-latin-ext-wght-normal.woff2", "inter-latin-ext.woff2"],
  [TESTS, "axe-core", "axe.min.js", "axe.min.js"],
];
const ICONS = `activity archive arrow-down-left arrow-up-right ban bell check chevron-left
chevron-right circle-check circle-help circle-x clock contrast copy cpu crosshair database download
eye file-text gauge hard-drive history info key list loader lock log-in log-out network
octagon-alert octagon-x pause pencil play plus radio refresh-cw rotate-ccw search send server
settings shield-check shield-alert trash-2 triangle-alert undo-2 upload user users x`.split(/\s+/);

const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const list = { [PAGE]: [], [TESTS]: [] };

function keep(folder, name, file) {
  const { version, license, integrity } = lock.packages[`node_modules/${name}`];
  const licence = `${name.replace(/^@/, "").replace("/", "-")}.LICENSE.txt`;
  copyFileSync(join(modules, name, "LICENSE"), join(folder, licence));
  const path = join(folder, file);
  list[folder].push({ file, package: name, version, licence: license, licence_file: licence,
    package_integrity: integrity, bytes: readFileSync(path).length, sha256: sha256(path) });
}

function sprite() {
  const symbols = ICONS.map((icon) => {
    const svg = readFileSync(join(modules, "lucide-static/icons", `${icon}.svg`), "utf8");
    const inner = svg.replace(/<!--.*?-->/gs, "").replace(/^[\s\S]*?<svg[^>]*>/, "");
    return `<symbol id="${icon}" viewBox="0 0 24 24">${inner.replace("</svg>", "").replace(/\s+/g, " ").trim()}</symbol>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

for (const folder of [PAGE, TESTS]) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}
for (const [folder, name, from, to] of FILES) {
  // A source map is not shipped: the comment naming it would be a request that fails.
  const source = join(modules, name, from);
  const text = /\.(js|css)$/.test(from);
  if (text) writeFileSync(join(folder, to), readFileSync(source, "utf8").replace(/\n?\/[/*]# sourceMappingURL=\S+(\s*\*\/)?\s*$/, "\n"));
  else copyFileSync(source, join(folder, basename(to)));
  keep(folder, name, to);
}
writeFileSync(join(PAGE, "icons.svg"), sprite());
keep(PAGE, "lucide-static", "icons.svg");
for (const folder of [PAGE, TESTS]) {
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(list[folder], null, 2) + "\n");
}
