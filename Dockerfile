# Node.js runs the TypeScript sources directly; it strips types only outside node_modules, so src/ lies beside it.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages are the locked Node.js of a checkout: here the image has it.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["node", "/app/src/main.ts"]
CMD ["operator"]
