# certhub, for production: DATABASE_URL is required, the embedded PostgreSQL of the demo is left out.
# The tag follows the current LTS line; 24.22.1 is the first of it with the fix of CVE-2026-111497, so build with --pull.
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=optional
COPY tsconfig.json ./
COPY src src
RUN npm run build

FROM node:24-bookworm-slim AS packages
WORKDIR /packages
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev --omit=optional

FROM node:24-bookworm-slim
# A base image that nobody pulled since the fix must not become a hub.
RUN node -e "const [a, b, c] = process.versions.node.split('.').map(Number); \
  process.exit(a > 24 || (a === 24 && (b > 22 || (b === 22 && c >= 1))) ? 0 : 1)"
# The hub writes here and nowhere else; keys in it are for its own account alone.
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/certhub
WORKDIR /app
COPY --from=packages /packages/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
COPY openapi openapi
COPY migrations migrations
# Only the list of what must be refused; the demo's private keys stay outside.
COPY keys-example/fingerprints.json keys-example/fingerprints.json
ENV NODE_ENV=production CERTHUB_DATA_DIR=/var/lib/certhub
USER node
VOLUME /var/lib/certhub
EXPOSE 8470
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.CERTHUB_PORT || 8470}/health/ready`, { headers: { 'accept-encoding': 'identity' } }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps"]
CMD ["dist/main.js"]
