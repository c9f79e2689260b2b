# A small image: the executable on a slim Debian.
#
#   docker build -t optoggles --build-arg OPTOGGLES_COMMIT="$(git log -1 --abbrev=9 --format='%h %cs')" .
#   docker run -v "$PWD/optoggles.toml:/etc/optoggles/optoggles.toml:ro" -p 8080:8080 optoggles
#
# Pass secrets as environment variables, or as files that the configuration names with ${file:PATH}.
# The file system can be read-only (--read-only).

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# What `optoggles --version` names.
ARG OPTOGGLES_COMMIT=
RUN cargo build --release --locked --bin optoggles

# The same Debian release as above, so the C library matches.
FROM debian:bookworm-slim
COPY --from=build /src/target/release/optoggles /usr/bin/optoggles
# For a flagd target; a volume mounted here inherits the owner.
RUN install -d -o 65532 -g 65532 /var/lib/optoggles
USER 65532:65532
WORKDIR /var/lib/optoggles
EXPOSE 8080

# The image has no HTTP client, so bash queries the default port. It checks only that the process serves:
# the other routes also fail while OPA, OPAL or the target is down, which a restart does not fix.
# Kubernetes ignores this; it probes /health/live itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/live HTTP/1.0\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]

ENTRYPOINT ["/usr/bin/optoggles"]
CMD ["serve"]
