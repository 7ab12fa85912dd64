// Calls the appliance with node `soap`:  node soap-client.js WSDL-URL PORT-NAME REQUESTS
// REQUESTS is JSON [[operation, fields], …]; the answers are printed as a JSON list.
'use strict';
const soap = require('soap');

async function main() {
  const [wsdl, port, requests] = process.argv.slice(2);
  const client = await soap.createClientAsync(wsdl, { forceSoap12Headers: port.endsWith('12') });
  const service = client.VideoCloudStorageService[port];
  const answers = [];
  for (const [operation, fields] of JSON.parse(requests)) {
    answers.push(await new Promise((resolve, reject) => {
      service[operation](fields, (error, answer) => (error ? reject(error) : resolve(answer)));
    }));
  }
  console.log(JSON.stringify(answers));
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
