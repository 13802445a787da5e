# Node.js runs the TypeScript sources directly; it strips types only outside node_modules, so src/ lies beside it.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages are the locked Node.js of a checkout: here the image has it.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

# Only mariadb-binlog of it is taken: the rest of the package, and Perl, stay out of the image.
FROM node:24-bookworm-slim AS mariadb
WORKDIR /deb
RUN apt-get update && apt-get download mariadb-client && dpkg-deb -x mariadb-client_*.deb /mariadb

FROM node:24-bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends libssl3 && rm -rf /var/lib/apt/lists/*
COPY --from=mariadb /mariadb/usr/bin/mariadb-binlog /usr/local/bin/mariadb-binlog
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["node", "/app/src/main.ts"]
CMD ["operator"]
