# The end of the image, given to repo2docker, whose postBuild has installed the student's set: the hub's side of a server
# at the locked version, and data and weights, so that nothing is downloaded in class.
ENV RECSYS_HOME=/srv/recsys-data TF_CPP_MIN_LOG_LEVEL=3
USER root
RUN install -d -o ${NB_USER} ${RECSYS_HOME}
USER ${NB_USER}
RUN python -m recsys_helpers fetch && python -m pip install --no-cache-dir nbgitpuller \
    && python -m pip install --no-cache-dir --no-deps -r requirements/instructor.lock
