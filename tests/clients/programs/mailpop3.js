// mailpop3 of npm
const fs = require('fs');
const POP3Client = require('mailpop3');
const [, , host, port, mode, login, password, authority, directory, keep] = process.argv;
const pop = new POP3Client(Number(port), host, { tlserrs: false, enabletls: mode === 'tls', debug: false });
const start = fs.readdirSync(directory).length;
let count = 0;
const fail = (what) => { console.error('failed:', what); process.exit(1); };
const fetch = (number) => { if (number > count) pop.quit(); else pop.retr(number); };
pop.on('error', (error) => fail(error));
pop.on('invalid-state', (command) => fail(command));
pop.on('locked', (command) => fail(command));
pop.on('connect', () => pop.login(login, password));
pop.on('login', (status, data) => (status ? pop.stat() : fail(data)));
pop.on('stat', (status, data) => { count = Number(data.count); fetch(1); });
pop.on('retr', (status, number, data, raw) => {
  if (!status) fail(raw);
  fs.writeFileSync(`${directory}/${String(start + Number(number)).padStart(5, '0')}`, data, 'latin1');
  if (keep === 'delete') pop.dele(number); else fetch(Number(number) + 1);
});
pop.on('dele', (status, number, data) => (status ? fetch(Number(number) + 1) : fail(data)));
pop.on('quit', () => process.exit(0));
