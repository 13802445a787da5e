// Answers like a publisher, with whatever the file of the first argument says: `node lying-publisher-main.ts FILE PORT`.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [file = '', port = ''] = process.argv.slice(2);
const server = createServer((request, response) => {
  if (request.url !== '/v1/coordinates') {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(readFileSync(file));
});
server.listen(Number(port), () => process.stdout.write('"message":"publishing"\n'));
