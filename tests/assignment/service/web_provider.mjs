// The OFREP web provider in Node: bulk prefetch, a 304 on the next poll, another context. Argv: address, token.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature } from '@openfeature/web-sdk';

const [address, token] = process.argv.slice(2);
const seen = [];
const provider = new OFREPWebProvider({
  baseUrl: address,
  pollInterval: -1,
  headers: [['authorization', `Bearer ${token}`]],
  fetchImplementation: async (input, options) => {
    const answer = await fetch(input, options);
    seen.push({ status: answer.status, etag: answer.headers.get('etag') });
    return answer;
  },
});
const asked = () => {
  const found = OpenFeature.getClient().getStringDetails('rec.homepage', 'default');
  return `${found.value} ${found.reason} ${found.flagMetadata.assignmentReason}`;
};

await OpenFeature.setContext({ targetingKey: 'u1', platform: 'web' });
await OpenFeature.setProviderAndWait(provider);
console.log('web', asked());
await provider._fetchFlags({ targetingKey: 'u1', platform: 'web' });
console.log('polled', seen.at(-1).status);
const before = seen[0].etag;
await OpenFeature.setContext({ targetingKey: 'u1', platform: 'ios' });
console.log('ios', asked());
console.log('etag changed', seen.at(-1).etag !== before && seen.at(-1).status === 200);
const client = OpenFeature.getClient();
console.log('typed', client.getBooleanDetails('rec.homepage', false).errorCode);
console.log('unknown', client.getStringDetails('nope', '').errorCode);
await OpenFeature.close();
process.exit(0);
