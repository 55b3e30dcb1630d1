// Does the steps of steps.py with grpc-js: `node client.js PROTO_FOLDER ADDRESS GZIP [CA [CERTIFICATE KEY]]`, steps
// as JSON on stdin, [code, replies] of each on stdout. NODE_PATH says where its packages are.
const fs = require('fs');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [protos, address, gzip, ca, certificate, key] = process.argv.slice(2);
const files = ['dictum/v1/classifier_service.proto', 'dictum/v1/model_service.proto'];
const names = { keepCase: true, longs: String, enums: String, bytes: String };
const described = loader.loadSync([...files, path.join(__dirname, 'health.proto')], {
  ...names, includeDirs: [protos, __dirname],
});
const root = grpc.loadPackageDefinition(described);
const services = {
  'dictum.v1.ClassifierService': root.dictum.v1.ClassifierService,
  'dictum.v1.ModelService': root.dictum.v1.ModelService,
  'grpc.health.v1.Health': root.grpc.health.v1.Health,
};

const read = (file) => (file ? fs.readFileSync(file) : null);
const credentials = ca
  ? grpc.credentials.createSsl(read(ca), read(key), read(certificate))
  : grpc.credentials.createInsecure();
// 2: gzip.
const options = gzip === 'gzip' ? { 'grpc.default_compression_algorithm': 2 } : {};

function call(client, name, requests) {
  const { requestStream, responseStream } = client[name];
  const deadline = { deadline: Date.now() + 60_000 };
  return new Promise((resolve) => {
    const replies = [];
    const answered = (error, reply) => resolve([error ? error.code : 0, error ? [] : [reply]]);
    const ongoing = requestStream
      ? responseStream ? client[name](deadline) : client[name](deadline, answered)
      : responseStream ? client[name](requests[0], deadline) : client[name](requests[0], deadline, answered);
    if (responseStream) {
      ongoing.on('data', (reply) => {
        replies.push(reply);
        // A watch has no end of its own.
        if (name === 'Watch') ongoing.cancel();
      });
      ongoing.on('error', (error) => resolve([name === 'Watch' && replies.length ? 0 : error.code, replies]));
      ongoing.on('end', () => resolve([0, replies]));
    }
    if (requestStream) {
      requests.forEach((request) => ongoing.write(request));
      ongoing.end();
    }
  });
}

async function main() {
  const steps = JSON.parse(fs.readFileSync(0, 'utf8'));
  const clients = {};
  const results = [];
  for (const [full, requests] of steps) {
    const [, service, method] = full.split('/');
    clients[service] ??= new services[service](address, credentials, options);
    results.push(await call(clients[service], method, requests));
  }
  Object.values(clients).forEach((client) => client.close());
  process.stdout.write(JSON.stringify(results));
}

main();
