# The studio in a container. BASE decides the device: a plain Debian for processors, or an image with NVIDIA's libraries.
ARG BASE=debian:trixie-slim
FROM ${BASE}

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Versions are the base's own: its security updates matter more than the same bytes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 studio \
    && install --directory --owner=studio /data /home/studio/app

# Where torch comes from: PyPI's own wheel brings CUDA, which a processor has no use for (2 GB).
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

USER 1000
WORKDIR /home/studio/app
ENV PATH="/home/studio/venv/bin:$PATH" WORKSPACE=/data HOST=0.0.0.0 PORT=7860 PYTHONUNBUFFERED=1

COPY --chown=studio requirements.txt ./
RUN python3 -m venv /home/studio/venv \
    && pip install --no-cache-dir --upgrade "pip>=25" \
    && pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" -r requirements.txt
COPY --chown=studio app.py LICENSE NOTICE ./
COPY --chown=studio assets ./assets
COPY --chown=studio presets ./presets
COPY --chown=studio studio ./studio

EXPOSE 7860
VOLUME /data
# Listening to others needs an owner's password in the workspace; without one the studio says so and ends.
CMD ["python", "app.py"]
