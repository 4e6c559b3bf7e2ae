# Two images from one lock file:
#   docker build --target cpu  -t frod-bench:cpu .
#   docker build --target cuda -t frod-bench:cuda .      docker run --gpus all frod-bench:cuda
# Results: mount a folder, docker run -v "$PWD/results:/frod_bench/results" ...
FROM python:3.11-slim AS base
ENV PIP_NO_CACHE_DIR=1 WANDB_MODE=offline
# Any version of git and make will do: nothing that is measured depends on them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /frod_bench
COPY . .
RUN make setup LOCKED=1
ENV PATH="/frod_bench/.venv/bin:${PATH}"
CMD ["make", "reproduce-all"]

FROM base AS cpu

# PyPI's torch for Linux brings its CUDA libraries; the driver is that of the host.
FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["frod-bench", "bench", "device=cuda"]
