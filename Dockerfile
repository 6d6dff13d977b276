# syntax=docker/dockerfile:1
# Mintmark as a container: one binary, an unprivileged user, and /data as the only place that is written.
#
#   docker build -t mintmark .
#   docker run -d --read-only -v mintmark:/data -p 127.0.0.1:8080:8080 mintmark
#   docker run --rm --read-only -v mintmark:/data mintmark bootstrap --json
#
# Settings come from the environment (-e MINTMARK__SERVER__PUBLIC_URL=https://tokens.example.com) or from a file
# (-v ./mintmark.toml:/etc/mintmark.toml:ro … mintmark --config /etc/mintmark.toml serve).

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# A separate layer for the dependencies: it is built again only when a manifest, the lock file or .cargo changes.
# scripts/check-image checks that cargo has all that it needs here.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY verifier/Cargo.toml verifier/Cargo.toml
RUN mkdir -p src verifier/src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs verifier/src/lib.rs \
    && cargo build --locked --profile dist --bin mintmark

COPY . .
# Cargo compares modification times, and those of the sources may be older than what was built above.
RUN find src verifier/src -type f -exec touch {} + \
    && cargo build --locked --profile dist --bin mintmark \
    && install -D -m 0755 target/dist/mintmark /out/usr/local/bin/mintmark \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Mintmark" \
      org.opencontainers.image.description="A token service for machine-to-machine access" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.source="https://github.com/mintmark/mintmark" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
COPY --from=build /out/ /
RUN install -d -m 0700 -o 10001 -g 10001 /data

# The user by number, so that orchestrators can tell that it is not root.
USER 10001:10001
# The default settings keep the database and the master key in `data/`, that is in the volume.
WORKDIR /
VOLUME /data
# SQLite needs a folder for large sorts, and with --read-only only /data can be written.
ENV MINTMARK__SERVER__LISTEN=0.0.0.0:8080 \
    SQLITE_TMPDIR=/data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["mintmark", "healthcheck"]
ENTRYPOINT ["mintmark"]
CMD ["serve"]
