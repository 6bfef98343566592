// tests/security/llhttp.mjs - tells how Node's HTTP server, whose parser is llhttp, reads inputs.
//
// Reads base64 lines on stdin, writes a line of JSON for each: {"requests": [{method, target, body}...],
// "error": code or null}, texts in hex. Each input gets a connection of its own, which ends behind it.
import http from 'node:http';
import net from 'node:net';
import readline from 'node:readline';

const readings = new Map(); // by the client's port
const hex = (text) => Buffer.from(text, 'latin1').toString('hex');

const server = http.createServer({ insecureHTTPParser: false, keepAliveTimeout: 0, requireHostHeader: true });
const take = (request, response) => {
  const reading = readings.get(request.socket.remotePort);
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('error', () => {});
  request.on('end', () => {
    reading.requests.push({
      method: hex(request.method), target: hex(request.url), body: Buffer.concat(pieces).toString('hex'),
    });
    response.end();
  });
};
server.on('request', take);
server.on('checkContinue', take);
server.on('checkExpectation', take);
server.on('connect', (request, socket) => {
  readings.get(socket.remotePort).error = 'CONNECT';
  socket.destroy();
});
server.on('clientError', (error, socket) => {
  const reading = readings.get(socket.remotePort);
  if (reading && !reading.error) reading.error = error.code;
  socket.destroy();
});

const read = (input) => new Promise((resolve) => {
  const reading = { requests: [], error: null };
  const socket = net.connect({ port: server.address().port, host: '127.0.0.1', allowHalfOpen: true }, () => {
    readings.set(socket.localPort, reading);
    socket.end(input);
  });
  socket.resume();
  socket.on('error', () => {});
  socket.on('close', () => resolve(reading));
  socket.on('end', () => socket.destroy());
});

server.listen(0, '127.0.0.1', async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await read(Buffer.from(line, 'base64'))) + '\n');
  }
  server.close();
});
