# A small image of optoggles: the executable, and what Debian needs to run it.
#
#   docker build -t optoggles .
#   docker run -v "$PWD/optoggles.toml:/etc/optoggles/optoggles.toml:ro" -p 8080:8080 optoggles
#
# Secrets go in as environment variables, or as files that the configuration names with ${file:PATH}.
# The file system can be read-only (--read-only).

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
RUN cargo build --release --locked --bin optoggles

# The same Debian as above, so that the C library is the one which the executable was linked with.
FROM debian:bookworm-slim
COPY --from=build /src/target/release/optoggles /usr/bin/optoggles
# A flagd target can write here; a volume that is mounted here takes the owner over.
RUN install -d -o 65532 -g 65532 /var/lib/optoggles
USER 65532:65532
WORKDIR /var/lib/optoggles
EXPOSE 8080

# Without a client of HTTP in the image, bash asks, at the default port. Whether the process serves, and no
# more than that: all else fails also while OPA, OPAL or the target is down, which no restart mends.
# Kubernetes takes no notice of this; it probes /health/live itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/live HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]

ENTRYPOINT ["/usr/bin/optoggles"]
CMD ["serve"]
