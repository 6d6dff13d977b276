// An Express service whose callers need the product gst: npm install express jose, then
//
//   ISSUER=https://tokens.example.com AUDIENCE=https://api.example.com PORT=8000 node express.mjs
import express from 'express';
import { bearer, fromEnvironment, Refused } from '../node/verify.mjs';

const verifier = fromEnvironment();

/** Accepts requests whose token includes the product, and puts its claims into `request.claims`. */
const requires = (product) => async (request, reply, next) => {
  request.claims = await verifier.verify(bearer(request.get('Authorization')), product);
  next();
};

/** Answers with 401, 403 or 503. */
function refuse(error, request, reply, next) {
  if (!(error instanceof Refused)) return next(error);
  reply.status(error.status).set(error.headers).json({ error: error.message });
}

express()
  .get('/filings', requires('gst'), (request, reply) => reply.json({ client_id: request.claims.client_id }))
  .use(refuse)
  .listen(process.env.PORT ?? 8000, '127.0.0.1');
