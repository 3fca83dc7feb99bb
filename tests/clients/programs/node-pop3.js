// node-pop3 of npm
const fs = require('fs');
const [, , host, port, mode, user, password, authority, directory, keep] = process.argv;
const Pop3Command = require('node-pop3');
(async () => {
  const pop = new Pop3Command({ user, password, host, port: Number(port), tls: mode === 'tls',
    tlsOptions: authority ? { ca: fs.readFileSync(authority) } : {},
    servername: host });
  const start = fs.readdirSync(directory).length;
  const list = await pop.UIDL();
  for (const [index, [number]] of list.entries()) {
    const mail = await pop.RETR(number);
    fs.writeFileSync(`${directory}/${String(start + index).padStart(5, '0')}`, mail, 'latin1');
    if (keep === 'delete') await pop.command('DELE', number);
  }
  await pop.QUIT();
})().catch((error) => { console.error(error); process.exit(1); });
