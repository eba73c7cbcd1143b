# Any Debian-like image with Python 3.11 or later, venv and pip is a base. What BuildKit has over the legacy builder
# is not used: engine 20.10 builds this file too.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
# To remove debugging information. Where no mirror is in reach, the image gets larger and is as good.
RUN command -v strip || { apt-get update && apt-get install --yes --no-install-recommends binutils; } || true
# For a build without a network: --no-index --find-links /src/wheels takes all packages, and hatchling, from the context.
ARG PIP_OPTIONS=""
COPY . /src
# pip is the base's own, so the environment has neither pip nor what pip brings along. Bytecode is made of the modules that
# are imported, the standard library's too (which official Python images lack, and a user without rights cannot write): a
# start takes a third of the time. uvloop's wheel is not stripped, which is 12 MB.
RUN python3 -m venv --without-pip /opt/swarmproxy \
 && python3 -m pip --python /opt/swarmproxy/bin/python3 --disable-pip-version-check install \
        --no-cache-dir --no-compile --root-user-action=ignore ${PIP_OPTIONS} /src \
 && if command -v strip; then strip --strip-debug /opt/swarmproxy/lib/python3*/site-packages/uvloop/*.so; fi \
 && find /opt/swarmproxy/lib \( -name '*.py[ix]' -o -name '*.pxd' -o -path '*/site-packages/*/tests' \) -prune -exec rm -r {} + \
 && install --mode=644 /src/container/healthcheck.py /opt/swarmproxy/ \
 && export PYTHONPYCACHEPREFIX=/opt/swarmproxy/bytecode \
 && /opt/swarmproxy/bin/python3 -c 'import swarmproxy.cli, swarmproxy.manage, swarmproxy.page.opening, swarmproxy.join, swarmproxy.hub.serve' \
 && /opt/swarmproxy/bin/python3 /opt/swarmproxy/healthcheck.py

FROM ${BASE_IMAGE}
COPY --from=build /opt/swarmproxy /opt/swarmproxy
# As in the image of classic Swarm: `manage` listens on all addresses of the container, unless -H says otherwise.
ENV PATH=/opt/swarmproxy/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPYCACHEPREFIX=/opt/swarmproxy/bytecode \
    SWARM_HOST=:2375
EXPOSE 2375
# A user without rights or a name. To serve a mounted /var/run/docker.sock it needs the socket's group:
# docker run -v /var/run/docker.sock:/var/run/docker.sock --group-add "$(stat -c %g /var/run/docker.sock)" …
USER 10001:10001
STOPSIGNAL SIGTERM
# Looks at every socket that is listened on, plain or TLS, whatever -H and $SWARM_HOST say.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python3", "/opt/swarmproxy/healthcheck.py"]
ENTRYPOINT ["swarmproxy"]
CMD ["--help"]
# Last, so that another commit shares all layers: what `swarmproxy --version` shows.
ARG COMMIT=""
ENV SWARMPROXY_COMMIT=${COMMIT}
LABEL org.opencontainers.image.title="swarmproxy" \
      org.opencontainers.image.description="Many Docker daemons behind one Docker API endpoint" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"
